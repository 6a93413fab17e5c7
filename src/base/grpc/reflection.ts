import type { DescFile, DescService } from '@bufbuild/protobuf';
import { toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import {
  frameMessage,
  GRPC_STATUS,
  type GrpcServerStream,
  type GrpcService,
} from '#base/grpc/grpc.ts';
import {
  decodeReflectionRequest,
  encodeReflectionResponse,
  type ReflectionAnswer,
  type ReflectionQuestion,
} from '#base/grpc/reflection-messages.ts';

/** Both names of the service: tools ask for the newer one first and for the older one then. */
const METHODS = ['v1', 'v1alpha'].map(
  (version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
);
/** Bytes of answers that a peer may leave unread before its stream is reset. */
const UNSENT_BYTES_MAX = 8 * 1024 * 1024;

/**
 * gRPC server reflection: which services there are, and their schemas, so that tools such as
 * grpcurl can call them. It tells what is public anyway, and nothing of what the services know; so
 * it asks nobody who they are.
 */
export function reflectionService(services: readonly DescService[]): GrpcService {
  const schemas = new Schemas(services);
  const handler = (stream: GrpcServerStream): void => {
    stream.onMessage = (request) => {
      if (stream.unsentBytes > UNSENT_BYTES_MAX) return stream.reset();
      stream.writeFrame(frameMessage(answerTo(request, schemas)));
    };
    stream.onEnd = () => stream.end(GRPC_STATUS.ok);
  };
  return { streams: Object.fromEntries(METHODS.map((method) => [method, handler])) };
}

function answerTo(request: Uint8Array, schemas: Schemas): Uint8Array {
  let question: ReflectionQuestion;
  try {
    question = decodeReflectionRequest(request);
  } catch {
    question = { type: 'other' }; // it gets the same answer as a question that nobody knows
  }
  return encodeReflectionResponse(request, schemas.answer(question));
}

/** The schemas of services, found by file and by symbol. Read once it is asked for them. */
class Schemas {
  readonly #services: readonly DescService[];
  readonly #files = new Map<string, DescFile>();
  readonly #symbols = new Map<string, DescFile>();
  readonly #encoded = new Map<DescFile, Uint8Array>();

  constructor(services: readonly DescService[]) {
    this.#services = services;
  }

  answer(question: ReflectionQuestion): ReflectionAnswer {
    if (this.#files.size === 0) for (const { file } of this.#services) this.#add(file);
    switch (question.type) {
      case 'listServices':
        return { services: this.#services.map(({ typeName }) => typeName).sort() };
      case 'fileByName':
        return this.#fileAnswer(this.#files.get(question.name));
      case 'fileOfSymbol':
        return this.#fileAnswer(this.#fileOf(question.name));
      case 'other':
        return failed(GRPC_STATUS.unimplemented, 'this is not answered here');
    }
  }

  /** Of a message, enum, service, or of something within one, such as a method. */
  #fileOf(symbol: string): DescFile | undefined {
    const known = this.#symbols.get(symbol);
    const end = symbol.lastIndexOf('.');
    if (known || end < 0) return known;
    return this.#symbols.get(symbol.slice(0, end));
  }

  /** The file first, as tools expect, then all that it needs. */
  #fileAnswer(file: DescFile | undefined): ReflectionAnswer {
    if (!file) return failed(GRPC_STATUS.notFound, 'there is no such file or symbol');
    const needed = new Set<DescFile>();
    const add = (one: DescFile): void => {
      if (needed.has(one)) return;
      needed.add(one);
      for (const dependency of one.dependencies) add(dependency);
    };
    add(file);
    return { files: [...needed].map((one) => this.#encode(one)) };
  }

  #encode(file: DescFile): Uint8Array {
    const known = this.#encoded.get(file);
    if (known) return known;
    const bytes = toBinary(FileDescriptorProtoSchema, file.proto);
    this.#encoded.set(file, bytes);
    return bytes;
  }

  #add(file: DescFile): void {
    const name = file.proto.name;
    if (this.#files.has(name)) return;
    this.#files.set(name, file);
    for (const { typeName } of [...file.services, ...file.enums, ...file.extensions])
      this.#symbols.set(typeName, file);
    this.#addMessages(file.messages, file);
    for (const dependency of file.dependencies) this.#add(dependency);
  }

  #addMessages(messages: DescFile['messages'], file: DescFile): void {
    for (const message of messages) {
      this.#symbols.set(message.typeName, file);
      for (const { typeName } of message.nestedEnums) this.#symbols.set(typeName, file);
      this.#addMessages(message.nestedMessages, file);
    }
  }
}

function failed(code: number, message: string): ReflectionAnswer {
  return { error: { code, message } };
}
