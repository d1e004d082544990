import { type DescMethod, isFieldSet } from "@bufbuild/protobuf";
import {
  MethodOptions_IdempotencyLevel as Level,
  type MethodOptions,
  MethodOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { AdminService } from "../../gen/parlance/admin/v1/admin_service_pb.js";
import { chatServices } from "../../wire/services.ts";

const methods: DescMethod[] = [...chatServices, AdminService].flatMap((service): DescMethod[] => [
  ...service.methods,
]);

test.each(methods.map((method) => [method.name, method] as const))(
  "the contract says of %s whether it may be repeated",
  (_, { proto }) => {
    const options = proto.options as MethodOptions;
    expect(isFieldSet(options, MethodOptionsSchema.field.idempotencyLevel)).toBe(true);
  },
);

test("what is called a read has no side effects, and nothing else has none", () => {
  const reads = methods.filter(({ idempotency }) => idempotency === Level.NO_SIDE_EFFECTS);
  expect(reads).toEqual(methods.filter(({ name }) => /^(Get|List|BatchGet)(?!en)/.test(name)));
});
