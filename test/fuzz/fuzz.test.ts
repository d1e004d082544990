import { expect, test } from "vitest";
import { seed } from "../support/seed.ts";
import { fuzz } from "./fuzz.ts";

test("ten seconds of what nobody would write down end no server and are no fault of it", async () => {
  const found: string[] = [];
  const findings = await fuzz(10, seed(), (what, input) =>
    found.push(`${what} from ${JSON.stringify(input)}`),
  );
  expect(found).toEqual([]);
  expect(findings).toEqual({
    cases: expect.toSatisfy((cases: number) => cases > 0),
    crashes: 0,
    unhandled: 0,
    wrong_codes: 0,
    unreadable: 0,
  });
});
