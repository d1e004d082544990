import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { cases } from "../../bench/cases/catalogue.ts";
import type { Row } from "../../bench/lib/row.ts";

const execute = promisify(execFile);
const main = fileURLToPath(new URL("../../bench/main.ts", import.meta.url));

async function bench(...args: string[]): Promise<string> {
  const env = { ...process.env, NODE_OPTIONS: "" };
  const { stdout } = await execute(process.execPath, [main, ...args], { env });
  return stdout;
}

// How fast anything is depends on the machine and is not looked at.
test("every case of the benchmark runs and gives figures", async () => {
  const rows = JSON.parse(await bench("all", "--quick", "--seconds", "0.1", "--json")) as Row[];
  expect(new Set(rows.map(({ name }) => name.split("/")[0]))).toEqual(new Set(cases.map(({ name }) => name)));
  for (const row of rows) {
    expect(row.ours, row.name).toBeGreaterThan(0);
    expect(row.commit, row.name).toMatch(/./);
    if (row.floor === null) expect(row.ratio, row.name).toBeNull();
    else expect(row.ratio, row.name).toBeGreaterThan(0);
    expect(row.met === null, row.name).toBe(row.target === null);
  }
});

test("the benchmark says what it does not know", async () => {
  await expect(bench("run", "no-such-case")).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining("no-such-case is no case"),
  });
});
