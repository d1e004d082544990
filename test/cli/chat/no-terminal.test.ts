import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

test("without a terminal the chat names the commands for scripts", () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["src/main.ts", "chat", "--as", "alice"], {
    encoding: "utf8",
    input: "hello\n",
  });
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toMatch(/^parlance: the chat needs a terminal, .*`parlance tail`.*`parlance send`.*\n$/);
});
