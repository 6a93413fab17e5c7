// What grpcurl asks a server: which services there are, and what their messages look like.
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import {
  create,
  createFileRegistry,
  type DescService,
  type FileRegistry,
  fromBinary,
} from '@bufbuild/protobuf';
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { GRPC_STATUS } from '#base/grpc/grpc.ts';
import { reflectionService } from '#base/grpc/reflection.ts';
import { IstioCertificateService } from '#gen/bulwark/istio/v1/auth/ca_pb.js';
import { AggregatedDiscoveryService } from '#gen/envoy-api/envoy/service/discovery/v3/ads_pb.js';
import { serveGrpc } from '../../../test/kit/grpc-server.ts';

const SERVICES: readonly DescService[] = [IstioCertificateService, AggregatedDiscoveryService];
const FIELD = { fileByName: 3, fileOfSymbol: 4, listServices: 7 } as const;

/** The fields of a message with their bytes; those of one number in order. */
function fieldsOf(bytes: Uint8Array): Map<number, Uint8Array[]> {
  const reader = new BinaryReader(bytes);
  const fields = new Map<number, Uint8Array[]>();
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    const value =
      type === WireType.LengthDelimited ? reader.bytes() : Uint8Array.of(reader.uint32());
    fields.set(field, [...(fields.get(field) ?? []), value]);
  }
  return fields;
}

const request = (field: number, text: string): Uint8Array =>
  new BinaryWriter().tag(field, WireType.LengthDelimited).string(text).finish();

async function ask(t: TestContext, version: string) {
  const { client } = await serveGrpc(t, reflectionService(SERVICES));
  const stream = client.stream(`/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`);
  let sent = 0;
  return async (message: Uint8Array) => {
    stream.send(message);
    sent += 1;
    return fieldsOf(await stream.message(sent - 1));
  };
}

/** A registry of the files in an answer, the one asked for first: nothing may be missing. */
function registryOf(answer: Map<number, Uint8Array[]>): FileRegistry {
  const bytes = fieldsOf(answer.get(4)?.[0] ?? assert.fail('no files')).get(1) ?? [];
  const files = bytes.map((one) => fromBinary(FileDescriptorProtoSchema, one));
  const byName = new Map(files.map((file) => [file.name, file]));
  const file = new Set<FileDescriptorProto>();
  const add = (one: FileDescriptorProto): void => {
    for (const name of one.dependency) add(byName.get(name) ?? assert.fail(`no ${name}`));
    file.add(one);
  };
  add(files[0] ?? assert.fail('no files'));
  return createFileRegistry(create(FileDescriptorSetSchema, { file: [...file] }));
}

for (const version of ['v1', 'v1alpha'])
  describe(`server reflection ${version}`, () => {
    it('lists the services', async (t) => {
      const answer = await (await ask(t, version))(request(FIELD.listServices, '*'));
      const services = fieldsOf(answer.get(6)?.[0] ?? assert.fail('no list')).get(1) ?? [];
      const names = services.map((bytes) => String(Buffer.from(fieldsOf(bytes).get(1)?.[0] ?? [])));
      assert.deepEqual(names, SERVICES.map(({ typeName }) => typeName).sort());
    });

    it('describes a service, and everything that its messages need', async (t) => {
      const reflect = await ask(t, version);
      for (const { typeName, methods } of SERVICES) {
        const registry = registryOf(await reflect(request(FIELD.fileOfSymbol, typeName)));
        const service = registry.getService(typeName) ?? assert.fail(typeName);
        assert.deepEqual(
          service.methods.map((method) => [method.name, method.input.typeName]),
          methods.map((method) => [method.name, method.input.typeName]),
        );
      }
    });

    it('describes messages, methods and files by their names', async (t) => {
      const reflect = await ask(t, version);
      const message = 'envoy.service.discovery.v3.DeltaDiscoveryRequest';
      assert.ok(
        registryOf(await reflect(request(FIELD.fileOfSymbol, message))).getMessage(message),
      );
      const method = 'istio.v1.auth.IstioCertificateService.CreateCertificate';
      const service = 'istio.v1.auth.IstioCertificateService';
      assert.ok(registryOf(await reflect(request(FIELD.fileOfSymbol, method))).getService(service));
      const file = 'google/protobuf/struct.proto';
      assert.ok(registryOf(await reflect(request(FIELD.fileByName, file))).getFile(file));
    });

    it('says so when there is no such thing, and goes on', async (t) => {
      const reflect = await ask(t, version);
      for (const [message, code] of [
        [request(FIELD.fileOfSymbol, 'no.such.Thing'), GRPC_STATUS.notFound],
        [request(FIELD.fileByName, '../../etc/passwd'), GRPC_STATUS.notFound],
        [request(6, 'a.b'), GRPC_STATUS.unimplemented],
        [Buffer.from('garbage'), GRPC_STATUS.unimplemented],
      ] as const) {
        const answer = await reflect(message);
        const error = fieldsOf(answer.get(7)?.[0] ?? assert.fail('no error'));
        assert.equal(error.get(1)?.[0]?.[0], code);
        assert.deepEqual(Buffer.from(answer.get(2)?.[0] ?? []), Buffer.from(message));
      }
    });
  });
