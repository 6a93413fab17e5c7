// Makes gen/ (run under Node 24 by the set-up): node generate.js ENVOY OUTPUT-DIRECTORY
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  CodeGeneratorRequestSchema,
  CodeGeneratorResponseSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_descriptor,
} from '@bufbuild/protobuf/wkt';
import { descriptorsInBinary } from './descriptors.js';
import { ENVOY_ROOTS } from './roots.js';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const bin = (name) => join(repository, 'node_modules/.bin', name);
/** protobuf-es carries these itself. */
const WELL_KNOWN = /^google\/protobuf\//;

/** Files in dependency order, imports first, from the roots on. */
function closure(descriptors, roots) {
  const ordered = new Map();
  const visit = (name, importedBy) => {
    if (ordered.has(name)) return;
    const file = descriptors.get(name);
    if (!file) throw new Error(`${name}, imported by ${importedBy}, is not in the binary`);
    ordered.set(name, undefined);
    for (const dependency of file.dependency) visit(dependency, name);
    ordered.delete(name);
    ordered.set(name, file);
  };
  for (const root of roots) visit(root, 'our list of roots');
  return ordered;
}

/** Runs protoc-gen-es over the files and writes what it returns below `target`. */
function generateCode(files, target) {
  const request = create(CodeGeneratorRequestSchema, {
    parameter: 'target=js+dts,import_extension=js',
    fileToGenerate: [...files.keys()].filter((name) => !WELL_KNOWN.test(name)),
    protoFile: [...files.values()],
  });
  const plugin = spawnSync(process.execPath, [bin('protoc-gen-es')], {
    input: toBinary(CodeGeneratorRequestSchema, request),
    maxBuffer: 256 << 20,
  });
  if (plugin.status !== 0) throw new Error(`protoc-gen-es: ${plugin.stderr}`);
  const response = fromBinary(CodeGeneratorResponseSchema, plugin.stdout);
  if (response.error) throw new Error(`protoc-gen-es: ${response.error}`);
  for (const file of response.file) {
    const path = join(target, file.name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, file.content);
  }
}

/** Our own .proto files as descriptors, by buf. */
function ownDescriptors() {
  const protos = readdirSync(join(repository, 'proto'), { recursive: true }).filter((name) =>
    String(name).endsWith('.proto'),
  );
  const built = spawnSync(
    bin('buf'),
    ['build', 'proto', '--as-file-descriptor-set', '-o', '-#format=binpb'],
    {
      cwd: repository,
      maxBuffer: 64 << 20,
    },
  );
  if (built.status !== 0) throw new Error(`buf build proto: ${built.stderr}`);
  const files = fromBinary(FileDescriptorSetSchema, built.stdout).file;
  return { roots: protos.map(String), files: new Map(files.map((file) => [file.name, file])) };
}

const [envoyPath, target] = process.argv.slice(2);
const envoy = descriptorsInBinary(readFileSync(envoyPath));
const descriptorProto = file_google_protobuf_descriptor.proto;
if (!envoy.has(descriptorProto.name)) envoy.set(descriptorProto.name, descriptorProto);
const known = ENVOY_ROOTS.filter((root) => envoy.has(root));
const missing = ENVOY_ROOTS.filter((root) => !envoy.has(root));
if (missing.length > 0) throw new Error(`not in ${envoyPath}: ${missing.join(', ')}`);
generateCode(closure(envoy, known), join(target, 'envoy-api'));
const own = ownDescriptors();
generateCode(closure(own.files, own.roots), join(target, 'bulwark'));
const all = create(FileDescriptorSetSchema, {
  file: [...closure(envoy, [...envoy.keys()]).values()],
});
writeFileSync(join(target, 'envoy.binpb'), toBinary(FileDescriptorSetSchema, all));
