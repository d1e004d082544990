import { expect, test } from "vitest";
import { describeUnless } from "../../support/describe-unless.ts";
import { applyPowerCut, missingIoShim } from "./io-shim.ts";
import { idsIn, makeShim, startRows } from "./rows.ts";

const missing = missingIoShim();

describeUnless(missing, "the shim of files", () => {
  test("a commit fails while fsync fails, and the next one goes through, power cut or not", async () => {
    const { shim, path, dir } = makeShim();
    const rows = await startRows(path, shim);
    expect(await rows.insert(1)).toBe("1");
    const before = shim.counts();
    expect(before.fsyncs).toBeGreaterThan(0);

    shim.set({ fsyncError: "EIO" });
    expect(await rows.insert(2)).toBe("2 disk I/O error");
    shim.clear();
    expect(idsIn(path)).toEqual([1]);

    expect(await rows.insert(3)).toBe("3");
    expect(shim.counts().failedFsyncs).toBe(1);
    expect(shim.counts().fsyncs).toBeGreaterThan(before.fsyncs + 1);
    await rows.kill();
    applyPowerCut(dir);
    expect(idsIn(path)).toEqual([1, 3]);
  });

  test("a commit waits for a slow fsync", async () => {
    const { shim, path } = makeShim();
    const rows = await startRows(path, shim);
    shim.set({ fsyncDelayMs: 200 });
    const startMs = performance.now();
    expect(await rows.insert(1)).toBe("1");
    expect(performance.now() - startMs).toBeGreaterThan(190);
  });

  test("a full disk refuses commits until there is room, of the chosen file alone", async () => {
    const { shim, path } = makeShim();
    const rows = await startRows(path, shim);
    shim.set({ writeError: "ENOSPC", nameEndsWith: "-wal" });
    expect(await rows.insert(1)).toBe("1 database or disk is full");
    expect(shim.counts().failedWrites).toBeGreaterThan(0);
    shim.set({ nameEndsWith: "-other" });
    expect(await rows.insert(2)).toBe("2");
    expect(idsIn(path)).toEqual([2]);
  });

  test("short writes are continued", async () => {
    const { shim, path } = makeShim();
    const rows = await startRows(path, shim);
    const before = shim.counts().writes;
    expect(await rows.insert(1)).toBe("1");
    const needed = shim.counts().writes - before;
    shim.set({ shortWritePercent: 100 });
    expect(await rows.insert(2)).toBe("2");
    expect(shim.counts().writes - before - needed).toBeGreaterThan(needed);
    shim.clear();
    expect(await rows.end()).toBe(0);
    expect(idsIn(path)).toEqual([1, 2]);
  });

  test("which fsyncs fail follows from the seed", async () => {
    const seen: boolean[][] = [];
    for (const seed of [5, 5, 6]) {
      const { shim, path } = makeShim(seed);
      const rows = await startRows(path, shim);
      shim.set({ fsyncError: "EIO", fsyncPercent: 50 });
      const failed: boolean[] = [];
      for (let id = 0; id < 12; id++) failed.push((await rows.insert(id)).includes("error"));
      seen.push(failed);
    }
    expect(new Set(seen[0])).toEqual(new Set([true, false]));
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[2]).not.toEqual(seen[0]);
  });
});
