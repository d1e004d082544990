import { readFileSync } from "node:fs";
import { Status } from "nice-grpc";
import { expect, test } from "vitest";
import { settingsPage } from "../scripts/settings-docs.ts";
import { ErrorReason } from "../src/errors.ts";
import { statusOf } from "../src/rpc/errors.ts";

test("docs/settings.md has every setting as it is; if not, run `npm run docs`", () => {
  expect(readFileSync("docs/settings.md", "utf8")).toBe(settingsPage());
});

test("docs/errors.md has every reason with its code, in the order of the proto", () => {
  const rows = readFileSync("docs/errors.md", "utf8").matchAll(
    /^\| `([A-Z_]+)` \| `([A-Z_]+)` \| (.+) \| (.+) \|$/gm,
  );
  const documented = [...rows].map(([, reason, code]) => [reason, code]);
  const reasons = Object.entries(ErrorReason).filter(([, value]) => typeof value === "number") as [
    string,
    ErrorReason,
  ][];
  expect(documented).toEqual(reasons.map(([name, reason]) => [name, Status[statusOf[reason]]]));
});
