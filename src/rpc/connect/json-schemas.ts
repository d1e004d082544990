import {
  clone,
  create,
  createFileRegistry,
  type DescFile,
  type DescMessage,
  type DescMethod,
} from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_struct,
} from "@bufbuild/protobuf/wkt";
import { chatServices } from "../../../wire/services.ts";

const contractPackage = "parlance.chat.v1";
const anyType = ".google.protobuf.Any";
const structType = ".google.protobuf.Struct";

const schemas = createJsonSchemas();

/**
 * Returns a message type of the contract as it is in JSON: with a `Struct` in
 * place of each `Any`. The library would look into an `Any`, and can neither
 * read nor write one of a type that it does not know, or whose bytes are not of
 * its type. Types that are not of the contract are returned as they are.
 */
export function jsonSchemaOf(schema: DescMessage): DescMessage {
  return schemas.getMessage(schema.typeName) ?? schema;
}

/** Returns a method with the types that its messages have in JSON; see `jsonSchemaOf`. */
export function jsonMethodOf(method: DescMethod): DescMethod {
  return schemas.getService(method.parent.typeName)?.method[method.localName] ?? method;
}

function createJsonSchemas() {
  const files = new Map<string, DescFile>();
  // Each after those it needs.
  const add = (file: DescFile): void => {
    for (const needed of file.dependencies) add(needed);
    files.set(file.name, file);
  };
  for (const file of [file_google_protobuf_struct, ...chatServices.map(({ file }) => file)]) add(file);
  return createFileRegistry(create(FileDescriptorSetSchema, { file: [...files.values()].map(withStructs) }));
}

function withStructs({ proto }: DescFile) {
  const isAny = ({ typeName }: { typeName: string }) => typeName === anyType;
  if (proto.package !== contractPackage || !proto.messageType.some(({ field }) => field.some(isAny)))
    return proto;
  const changed = clone(FileDescriptorProtoSchema, proto);
  for (const field of changed.messageType.flatMap((type) => type.field))
    if (isAny(field)) field.typeName = structType;
  return changed;
}
