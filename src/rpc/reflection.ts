import {
  type DescExtension,
  type DescFile,
  type DescService,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { file_buf_validate_validate } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { ServerError, type ServiceImplementation, Status } from "nice-grpc";
import { file_google_rpc_code } from "../../gen/google/rpc/code_pb.js";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.js";
import { file_google_rpc_status } from "../../gen/google/rpc/status_pb.js";
import { file_grpc_health_v1_health } from "../../gen/grpc/health/v1/health_pb.js";
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponseSchema,
} from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ServerReflectionV1Alpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { type RpcDefinition, refuseUndecodable, toDefinition } from "../../wire/definition.ts";

type Definition = RpcDefinition<typeof ServerReflection>;
type Answer = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]>;

/** One version of the reflection service: what to give to nice-grpc's `add`. */
export interface Reflection {
  /** As generated. */
  service: DescService;
  definition: Definition;
  implementation: ServiceImplementation<Definition> & Record<string, unknown>;
}

/**
 * Makes server reflection, v1 and v1alpha, so that `grpcurl` and `buf curl`
 * need no files.
 *
 * It lists the given services and itself. Their files are served with all they
 * import and with options kept; the types of health, of protovalidate and of
 * `google.rpc`, in which error details travel, can be looked up as well. What
 * is asked for too much ends with RESOURCE_EXHAUSTED.
 */
export function createReflection(
  services: ReadonlyArray<Pick<DescService, "typeName" | "file">>,
): Reflection[] {
  const listed = [...services, ServerReflection, ServerReflectionV1Alpha];
  const index = indexFiles([
    ...listed.map((service) => service.file),
    file_grpc_health_v1_health,
    file_google_rpc_status,
    file_google_rpc_error_details,
    file_google_rpc_code,
    file_buf_validate_validate,
  ]);
  const names = [...new Set(listed.map((service) => service.typeName))].sort();

  const budget = createBudget();

  const implementation: Reflection["implementation"] = {
    async *serverReflectionInfo(requests) {
      const sent = new Set<DescFile>();
      let bytes = 0;
      for await (const request of requests) {
        refuseUndecodable(request);
        const messageResponse = answer(index, names, request.messageRequest, sent);
        const size = sizeOf(messageResponse) + request.host.length;
        bytes += size;
        if (bytes > maxStreamBytes || !budget.take(size)) throw tooMuch();
        yield { validHost: request.host, originalRequest: request, messageResponse };
      }
    },
  };

  const v1 = toDefinition(ServerReflection);
  // The two versions differ in their package only, which is not on the wire.
  const { path } = toDefinition(ServerReflectionV1Alpha).serverReflectionInfo;
  const v1alpha: Definition = { serverReflectionInfo: { ...v1.serverReflectionInfo, path } };
  return [
    { service: ServerReflection, definition: v1, implementation },
    { service: ServerReflectionV1Alpha, definition: v1alpha, implementation },
  ];
}

/** The most that one stream is answered, in bytes: several times all there is. */
const maxStreamBytes = 2_097_152;
/** The most that all streams are answered within a second, in bytes. */
const maxBytesPerSecond = 8_388_608;

/** Counts what all streams are answered, second by second. */
function createBudget() {
  let left = maxBytesPerSecond;
  let sinceMs = performance.now();
  return {
    /** Returns whether so many bytes may still be sent in this second. */
    take(bytes: number): boolean {
      const nowMs = performance.now();
      if (nowMs - sinceMs >= 1_000) {
        left = maxBytesPerSecond;
        sinceMs = nowMs;
      }
      left -= bytes;
      return left >= 0;
    },
  };
}

function tooMuch(): ServerError {
  return new ServerError(
    Status.RESOURCE_EXHAUSTED,
    "reflection was asked for too much; ask for each file once, or again in a second",
  );
}

/** About how many bytes an answer takes; one without files costs as much as a small one. */
function sizeOf(answer: Answer): number {
  if (answer.case !== "fileDescriptorResponse") return 1_024;
  return (answer.value.fileDescriptorProto ?? []).reduce((sum, { length }) => sum + length, 0);
}

function answer(
  index: FileIndex,
  serviceNames: readonly string[],
  request: ServerReflectionRequest["messageRequest"],
  sent: Set<DescFile>,
): Answer {
  switch (request.case) {
    case "listServices":
      return { case: "listServicesResponse", value: { service: serviceNames.map((name) => ({ name })) } };
    case "fileByFilename":
      return fileAnswer(index, index.byName.get(request.value), `file ${request.value}`, sent);
    case "fileContainingSymbol":
      return fileAnswer(index, index.bySymbol.get(request.value), `symbol ${request.value}`, sent);
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = request.value;
      const file = index.extensions
        .get(containingType)
        ?.find((extension) => extension.number === extensionNumber)?.file;
      return fileAnswer(index, file, `extension ${extensionNumber} of ${containingType}`, sent);
    }
    case "allExtensionNumbersOfType": {
      if (!index.bySymbol.has(request.value)) return notFound(`type ${request.value}`);
      const extensionNumber = (index.extensions.get(request.value) ?? []).map(
        (extension) => extension.number,
      );
      return { case: "allExtensionNumbersResponse", value: { baseTypeName: request.value, extensionNumber } };
    }
    default:
      return {
        case: "errorResponse",
        value: { errorCode: Status.INVALID_ARGUMENT, errorMessage: "the request asks nothing" },
      };
  }
}

function notFound(what: string): Answer {
  return { case: "errorResponse", value: { errorCode: Status.NOT_FOUND, errorMessage: `no ${what}` } };
}

/** The file itself, and of what it imports whatever this stream has not had yet. */
function fileAnswer(
  { encoded }: FileIndex,
  file: DescFile | undefined,
  what: string,
  sent: Set<DescFile>,
): Answer {
  if (file === undefined) return notFound(what);
  const files = [...withDependencies([file])].filter(
    (dependency) => dependency === file || !sent.has(dependency),
  );
  for (const each of files) sent.add(each);
  const fileDescriptorProto = files.map((each) => encoded.get(each) as Uint8Array);
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

interface FileIndex {
  /** By the name an import has, such as `parlance/chat/v1/cursor.proto`. */
  byName: Map<string, DescFile>;
  /** By full name of a message, field, oneof, enum, enum value, extension, service or method. */
  bySymbol: Map<string, DescFile>;
  /** By full name of the extended message. */
  extensions: Map<string, DescExtension[]>;
  encoded: Map<DescFile, Uint8Array>;
}

function indexFiles(roots: readonly DescFile[]): FileIndex {
  const index: FileIndex = {
    byName: new Map(),
    bySymbol: new Map(),
    extensions: new Map(),
    encoded: new Map(),
  };
  for (const file of withDependencies(roots)) {
    index.byName.set(file.proto.name, file);
    index.encoded.set(file, toBinary(FileDescriptorProtoSchema, file.proto));
    for (const symbol of symbolsOf(file)) index.bySymbol.set(symbol, file);
    for (const type of nestedTypes(file)) {
      if (type.kind !== "extension") continue;
      const extended = type.extendee.typeName;
      index.extensions.set(extended, [...(index.extensions.get(extended) ?? []), type]);
    }
  }
  return index;
}

function withDependencies(roots: readonly DescFile[]): Set<DescFile> {
  const files = new Set(roots);
  for (const file of files) for (const dependency of file.dependencies) files.add(dependency);
  return files;
}

function* symbolsOf(file: DescFile): Iterable<string> {
  for (const type of nestedTypes(file)) {
    yield type.typeName;
    switch (type.kind) {
      case "message":
        for (const member of [...type.fields, ...type.oneofs]) yield `${type.typeName}.${member.name}`;
        break;
      case "enum": {
        // The values of an enum are named beside it, not inside.
        const scope = type.typeName.slice(0, -type.name.length);
        for (const value of type.values) yield `${scope}${value.name}`;
        break;
      }
      case "service":
        for (const method of type.methods) yield `${type.typeName}.${method.name}`;
    }
  }
}
