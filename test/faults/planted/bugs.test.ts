import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { bugs } from "./bugs.ts";

test.each(bugs.flatMap(({ name, edits }) => edits.map(({ file, find }) => ({ name, file, find }))))(
  "the bug $name can still be planted in $file",
  ({ file, find }) => {
    expect(readFileSync(file, "utf8").split(find)).toHaveLength(2);
  },
);
