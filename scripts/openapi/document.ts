import type { DescMessage, DescMethod, DescService } from "@bufbuild/protobuf";
import { commentOf, type Json } from "./json.ts";
import { createSchemas } from "./schemas.ts";

/** Describes services as they are called with `content-type: application/json` (OpenAPI 3.1). */
export function openApiDocument(services: readonly DescService[], version: string): Json {
  const schemas = createSchemas();
  // Streams both ways are not for JSON over HTTP.
  const methods = services
    .flatMap(({ methods }) => methods)
    .filter(({ methodKind }) => methodKind !== "bidi_streaming");
  const paths = Object.fromEntries(
    methods.map((method) => [
      `/${method.parent.typeName}/${method.name}`,
      { post: operation(method, (message) => schemas.refOf(message)) },
    ]),
  );
  return {
    openapi: "3.1.0",
    info: {
      title: "Parlance",
      version,
      description: intro,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    // From where the document is, so that it holds below a path too.
    servers: [{ url: "." }],
    security: [{ bearer: [] }],
    tags: services.map((service) => ({ name: service.name, description: commentOf(service) })),
    paths: { ...paths, ...healthPaths },
    components: {
      schemas: { ...errorSchemas, ...schemas.all() },
      responses: {
        Error: {
          description: "The call was refused, or failed.",
          content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
        },
      },
      parameters: {
        Device: {
          name: "parlance-device",
          in: "header",
          description: "The device, where the token is the host application's own.",
          schema: { type: "string", default: "default" },
        },
      },
      securitySchemes: {
        bearer: {
          type: "http",
          scheme: "bearer",
          description: "The `sessionToken` of a `Login`, or a token of the host application.",
        },
      },
    },
  };
}

const intro = `A durable chat backend. Every call is a POST of one JSON object.

Fields are written in camel case; requests may use the names of the protos too. Numbers of 64 bits are strings;
requests may use numbers too. Fields with their zero value are left out of answers, and may be left out of
requests. Fields that the server does not know are ignored.`;

function operation(method: DescMethod, refOf: (message: DescMessage) => Json): Json {
  const comment = commentOf(method);
  const isOpen = method.name === "Login";
  return {
    operationId: `${method.parent.name}.${method.name}`,
    tags: [method.parent.name],
    summary: /^.*?[.:](?=\s|$)/s.exec(comment)?.[0].replaceAll("\n", " ") ?? comment,
    description: comment,
    ...(isOpen ? { security: [] } : { parameters: [{ $ref: "#/components/parameters/Device" }] }),
    requestBody: { required: true, content: { "application/json": { schema: refOf(method.input) } } },
    responses: {
      "200":
        method.methodKind === "unary"
          ? { description: "Done.", content: { "application/json": { schema: refOf(method.output) } } }
          : lines(refOf(method.output)),
      default: { $ref: "#/components/responses/Error" },
    },
  };
}

function lines(contentSchema: Json): Json {
  return {
    description:
      'An object on each line, for as long as the session lives. When an error ends it, the last line is `{"error": …}` with what the schema `Error` says.',
    content: {
      "application/x-ndjson": {
        schema: { type: "string", contentMediaType: "application/json", contentSchema },
      },
    },
  };
}

const errorSchemas: Json = {
  Error: {
    description: "Why a call was refused, or failed.",
    type: "object",
    properties: {
      code: {
        description: "The status code of gRPC.",
        type: "string",
        enum: [
          "canceled",
          "unknown",
          "invalid_argument",
          "deadline_exceeded",
          "not_found",
          "already_exists",
          "permission_denied",
          "resource_exhausted",
          "failed_precondition",
          "aborted",
          "out_of_range",
          "unimplemented",
          "internal",
          "unavailable",
          "data_loss",
          "unauthenticated",
        ],
      },
      message: { description: "What is wrong and what to do, for people.", type: "string" },
      details: { type: "array", items: { $ref: "#/components/schemas/ErrorDetail" } },
    },
    required: ["code"],
  },
  ErrorDetail: {
    description:
      "For programs. A `google.rpc.ErrorInfo` has the reason, one of docs/errors.md; others are `google.rpc.BadRequest`, `QuotaFailure` and `RetryInfo`.",
    type: "object",
    properties: {
      type: { description: "The type of the detail.", type: "string" },
      value: {
        description: "The encoded message, base64 without padding.",
        type: "string",
        contentEncoding: "base64",
      },
      debug: { description: "The same in JSON.", type: "object" },
    },
    required: ["type", "value"],
  },
};

const text = (description: string): Json => ({
  description,
  content: { "text/plain": { schema: { type: "string" } } },
});

const healthPaths: Json = {
  "/healthz": {
    get: { summary: "Whether the process lives.", security: [], responses: { "200": text("It does.") } },
  },
  "/readyz": {
    get: {
      summary: "Whether calls should come here.",
      security: [],
      responses: {
        "200": text("They should."),
        "503": text("They should not: it stops, or its store fails."),
      },
    },
  },
};
