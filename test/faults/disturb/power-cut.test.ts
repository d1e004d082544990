import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { describeUnless } from "../../support/describe-unless.ts";
import { eventually } from "../../support/eventually.ts";
import { randomFor } from "../../support/seed.ts";
import { applyPowerCut, missingIoShim } from "./io-shim.ts";
import { idsIn, integrityOf, makeShim, startRows } from "./rows.ts";

const missing = missingIoShim();

describeUnless(missing, "a power cut", () => {
  test("with synchronous=FULL every acknowledged commit survives 20 power cuts", async () => {
    const { lost, acknowledged } = await cutPower("FULL", 20, 50);
    expect(acknowledged).toBeGreaterThan(20);
    expect(lost).toEqual([]);
  });

  test("with synchronous=NORMAL some acknowledged commits are lost at a power cut", async () => {
    // Without checkpoints, each of which syncs what was written before.
    const { lost } = await cutPower("NORMAL", 1, 0);
    expect(lost.length).toBeGreaterThan(0);
  });
});

/** Inserts rows, kills at a random moment and cuts the power, again and again on one file. */
async function cutPower(synchronous: string, rounds: number, checkpointPages: number) {
  const random = randomFor(`power cut ${synchronous}`);
  const { shim, path, dir } = makeShim();
  const acknowledged = new Set<number>();
  let next = 0;
  for (let round = 0; round < rounds; round++) {
    const rows = await startRows(path, shim, synchronous, checkpointPages);
    const ids = Array.from({ length: 2_000 }, () => next++);
    rows.send(...ids);
    await eventually(() => rows.lines().length > 5);
    await delay(random() * 60);
    await rows.kill();
    for (const line of rows.lines()) acknowledged.add(Number(line));
    // Every other time some of what was not synced reaches the disk as well.
    applyPowerCut(dir, round % 2 === 0 ? undefined : () => random() < 0.5);
    expect(integrityOf(path)).toBe("ok");
  }
  expect(acknowledged).not.toContain(Number.NaN);
  const kept = new Set(idsIn(path));
  return { lost: [...acknowledged].filter((id) => !kept.has(id)), acknowledged: acknowledged.size };
}
