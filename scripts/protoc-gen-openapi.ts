/**
 * A plugin of `buf generate` that writes `openapi.json`: what the server takes
 * and gives in JSON, with the comments of the protos.
 */

import { readFileSync } from "node:fs";
import { create, createFileRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  CodeGeneratorRequestSchema,
  CodeGeneratorResponse_Feature,
  CodeGeneratorResponseSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { openApiDocument } from "./openapi/document.ts";

const request = fromBinary(CodeGeneratorRequestSchema, readFileSync(0));
const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: request.protoFile }));
const services = [...registry].flatMap((type) =>
  type.kind === "service" && type.file.proto.package === "parlance.chat.v1" ? [type] : [],
);
const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};
const content = `${JSON.stringify(openApiDocument(services, version), null, 2)}\n`;
const response = create(CodeGeneratorResponseSchema, {
  supportedFeatures: BigInt(CodeGeneratorResponse_Feature.PROTO3_OPTIONAL),
  file: [{ name: "openapi.json", content }],
});
process.stdout.write(toBinary(CodeGeneratorResponseSchema, response));
