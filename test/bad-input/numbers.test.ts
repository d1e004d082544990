import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const page = readFileSync("docs/bad-inputs.md", "utf8");
const rows = [...page.matchAll(/^\| (B\d+) \|.*\| ([^|]+) \|$/gm)].flatMap(([, number, files = ""]) =>
  [...files.matchAll(/`([^`]+)`/g)].map(([, file]) => [number, file] as [string, string]),
);

test("docs/bad-inputs.md has rows", () => {
  expect(rows.length).toBeGreaterThan(40);
});

test.each(rows)("%s is tested in %s, as docs/bad-inputs.md says", (number, file) => {
  expect(existsSync(file)).toBe(true);
  expect(readFileSync(file, "utf8")).toMatch(new RegExp(`["\`][^"\`\\n]*\\b${number}\\b`));
});
