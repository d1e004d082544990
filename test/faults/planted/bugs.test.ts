import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { bugs } from "./bugs.ts";
import { thirdOf } from "./thirds.ts";

test.each(bugs.flatMap(({ name, edits }) => edits.map(({ file, find }) => ({ name, file, find }))))(
  "the bug $name can still be planted in $file",
  ({ file, find }) => {
    expect(readFileSync(file, "utf8").split(find)).toHaveLength(2);
  },
);

test("three turns in a row plant every bug once", () => {
  const planted = [41, 42, 43].flatMap((turn) => thirdOf(bugs, turn));
  expect(planted.map(({ number }) => number).sort((a, b) => a - b)).toEqual(bugs.map(({ number }) => number));
});
