import { describe, test } from "vitest";

/** Describes what needs something that a machine may lack: left out, with a printed word of why, if `missing` is one. */
export function describeUnless(missing: string | undefined, name: string, body: () => void): void {
  tell(missing, name);
  describe.skipIf(missing !== undefined)(name, body);
}

/** Does the same with one test. */
export function testUnless(
  missing: string | undefined,
  name: string,
  body: () => void | Promise<void>,
  timeoutMs?: number,
): void {
  tell(missing, name);
  test.skipIf(missing !== undefined)(name, body, timeoutMs);
}

function tell(missing: string | undefined, name: string): void {
  if (missing !== undefined) process.stderr.write(`${name}: skipped, ${missing}\n`);
}
