import { expect } from "vitest";
import type { ErrorReason } from "../../src/model/errors.ts";

/**
 * What a refusal has to say: to be compared with `toMatchObject`. The reason is
 * only read from an `ErrorInfo` whose domain is `parlance`.
 *
 * @param field the path, as in the proto, of a field that `BadRequest` has to name
 */
export function refusal(code: string, reason: keyof typeof ErrorReason, field?: string) {
  const violation = expect.objectContaining({
    field,
    rule: expect.stringMatching(/./),
    description: expect.stringMatching(/./),
  });
  return {
    code,
    reasonName: reason,
    ...(field !== undefined && { violations: expect.arrayContaining([violation]) }),
  };
}

/** What is said of a field that breaks a rule of the schema. */
export function invalid(field: string) {
  return refusal("INVALID_ARGUMENT", "INVALID_REQUEST", field);
}
