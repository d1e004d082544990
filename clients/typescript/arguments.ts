import {
  create,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { findMistyped } from "../../wire/field-types.ts";
import { ErrorReason, ParlanceError, Status } from "./errors.ts";

/**
 * Makes a request of what an application wrote, so that a mistake in it fails
 * this one call before anything is sent.
 *
 * @throws ParlanceError INVALID_REQUEST, naming the field
 */
export function requestOf<Desc extends DescMessage>(
  schema: Desc,
  init: MessageInitShape<Desc>,
): MessageShape<Desc> {
  return checked("", () => {
    const mistyped = findMistyped(schema, init);
    if (mistyped !== undefined) throw invalidArgument(mistyped);
    return create(schema, init);
  });
}

/**
 * Encodes a request that `requestOf` made.
 *
 * @throws ParlanceError INVALID_REQUEST when that is not possible
 */
export function encodeRequest<Desc extends DescMessage>(
  schema: Desc,
  request: MessageShape<Desc>,
): Uint8Array {
  return checked("", () => toBinary(schema, request));
}

/**
 * Returns what a function makes of an argument.
 *
 * @param name the argument's, for the error
 * @throws ParlanceError its own, or INVALID_REQUEST in place of what else it throws, as getters may
 */
export function checked<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof ParlanceError) throw cause;
    throw invalidArgument({ field: name, description: "cannot be read" }, cause);
  }
}

/**
 * Returns an argument that has to be a number of milliseconds or of things.
 *
 * @throws ParlanceError INVALID_REQUEST when it is none, or below `min`
 */
export function numberOf(name: string, value: unknown, min = 0): number {
  if (typeof value === "number" && value >= min) return value;
  throw invalidArgument({ field: name, description: `must be a number, at least ${min}` });
}

/** Makes the error for an argument of a call. An empty field stands for the request itself. */
export function invalidArgument(
  { field, rule = "type", description }: { field: string; rule?: string; description: string },
  cause?: unknown,
): ParlanceError {
  return new ParlanceError(Status.INVALID_ARGUMENT, `${field || "the request"} ${description}`, {
    reason: ErrorReason.INVALID_REQUEST,
    violations: [{ field, rule, description }],
    cause,
  });
}
