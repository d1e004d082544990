import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeUnless } from "../../support/describe-unless.ts";
import { createSmallDisk, missingSmallDisk } from "./small-disk.ts";

const missing = missingSmallDisk();

describeUnless(missing, "a small disk", () => {
  test("is full when filled, has room again when freed, and is gone in the end", () => {
    const disk = createSmallDisk(1_048_576);
    try {
      const file = join(disk.path, "file");
      expect(disk.freeBytes()).toBe(1_048_576);
      disk.fill();
      expect(disk.freeBytes()).toBe(0);
      expect(() => writeFileSync(file, "x")).toThrow(/ENOSPC/);
      disk.free();
      writeFileSync(file, Buffer.alloc(1_000_000));
      disk.free();
      writeFileSync(file, "");
      disk.fill(65_536);
      expect(disk.freeBytes()).toBe(65_536);
    } finally {
      disk.close();
    }
    expect(existsSync(disk.path)).toBe(false);
  });

  test("can be taken away while a file of it is open", () => {
    const disk = createSmallDisk(1_048_576);
    const open = openSync(join(disk.path, "file"), "w");
    disk.close();
    closeSync(open);
    expect(readFileSync("/proc/mounts", "utf8")).not.toContain(disk.path);
  });
});
