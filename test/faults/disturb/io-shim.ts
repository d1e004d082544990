import { execFileSync } from "node:child_process";
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { missingCommand } from "./needs.ts";

/** What is done to writes and fsyncs. Everything is off by default. */
export interface IoFaults {
  /** The error of `fsync` and `fdatasync`. What it was to save is lost at a power cut unless written again. */
  fsyncError: IoError | undefined;
  /** How many fsyncs in a hundred fail. */
  fsyncPercent: number;
  /** How much longer an fsync takes. */
  fsyncDelayMs: number;
  /** The error of writes and truncates. */
  writeError: IoError | undefined;
  /** How many writes in a hundred fail. */
  writePercent: number;
  /** How many writes in a hundred write only half of what they were given. */
  shortWritePercent: number;
  /** Which files are harmed, by the end of their names: `-wal`, say. All by default. */
  nameEndsWith: string;
}

/** An error of the system that can be brought about. */
export type IoError = "EIO" | "ENOSPC";

/** What went through the shim, over all processes so far. */
export interface IoCounts {
  fsyncs: number;
  failedFsyncs: number;
  writes: number;
  failedWrites: number;
}

/** A library that stands between processes and the files right in one folder. */
export interface IoShim {
  /** What a process needs in its environment to be harmed. */
  readonly env: Readonly<Record<string, string>>;
  /** Changes what is done, at once and for all processes. */
  set(faults: Partial<IoFaults>): void;
  /** Takes back everything that is done. */
  clear(): void;
  /** What went through so far. */
  counts(): IoCounts;
  /** Takes the library away. Its processes have to have ended. */
  close(): void;
}

/** How to make a shim. */
export interface IoShimOptions {
  /** The folder. */
  dir: string;
  /** Decides which writes fail where only some do. */
  seed?: number;
  /**
   * Keeps a copy of each file as the disk would have it, in `.durable` in the
   * folder, for `applyPowerCut`. It takes as much room as the files. Off by default.
   */
  keepDurable?: boolean;
}

const source = fileURLToPath(new URL("io-shim.c", import.meta.url));

/** As `struct control` in `io-shim.c` has it: settings, then counters. */
const layout = { settingsBytes: 64, nameAt: 32, nameBytes: 32, countersBytes: 40 };

const errnos: Record<IoError, number> = { EIO: 5, ENOSPC: 28 };

const harmless: IoFaults = {
  fsyncError: undefined,
  fsyncPercent: 100,
  fsyncDelayMs: 0,
  writeError: undefined,
  writePercent: 100,
  shortWritePercent: 0,
  nameEndsWith: "",
};

/** Returns the reason why there can be no shim here, if there is one. */
export function missingIoShim(): string | undefined {
  if (process.platform !== "linux") return "the shim is for Linux";
  return missingCommand("cc");
}

/** Compiles a shim for the files right in a folder, which has to exist. */
export function createIoShim({ dir, seed = 1, keepDurable = false }: IoShimOptions): IoShim {
  const folder = realpathSync(dir);
  if (keepDurable) mkdirSync(join(folder, durableFolder), { recursive: true });
  const ownFolder = mkdtempSync(join(tmpdir(), "parlance-shim-"));
  const library = join(ownFolder, "io-shim.so");
  execFileSync("cc", ["-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], { stdio: "pipe" });
  const controlPath = join(ownFolder, "control");
  writeFileSync(controlPath, new Uint8Array(layout.settingsBytes + layout.countersBytes));
  const control = openSync(controlPath, "r+");
  const faults = { ...harmless };
  let closed = false;

  const apply = () => {
    const block = Buffer.alloc(layout.settingsBytes);
    const { fsyncError, writeError } = faults;
    const numbers = [
      fsyncError === undefined ? 0 : errnos[fsyncError],
      faults.fsyncPercent,
      faults.fsyncDelayMs,
      writeError === undefined ? 0 : errnos[writeError],
      faults.writePercent,
      faults.shortWritePercent,
      seed >>> 0,
      keepDurable ? 1 : 0,
    ];
    for (const [index, number] of numbers.entries()) block.writeUInt32LE(number, index * 4);
    if (Buffer.byteLength(faults.nameEndsWith) >= layout.nameBytes)
      throw new RangeError("the name is too long");
    block.write(faults.nameEndsWith, layout.nameAt);
    writeSync(control, block, 0, block.length, 0);
  };
  apply();

  return {
    env: {
      LD_PRELOAD: library,
      PARLANCE_TEST_SHIM_DIR: folder,
      PARLANCE_TEST_SHIM_CONTROL: controlPath,
    },
    set(change) {
      Object.assign(faults, change);
      apply();
    },
    clear() {
      Object.assign(faults, harmless);
      apply();
    },
    counts() {
      const block = Buffer.alloc(layout.countersBytes);
      readSync(control, block, 0, block.length, layout.settingsBytes);
      const [fsyncs, failedFsyncs, writes, failedWrites] = [0, 8, 16, 24].map((at) =>
        Number(block.readBigUInt64LE(at)),
      ) as [number, number, number, number];
      return { fsyncs, failedFsyncs, writes, failedWrites };
    },
    close() {
      if (closed) return;
      closed = true;
      closeSync(control);
      rmSync(ownFolder, { recursive: true, force: true });
    },
  };
}

const durableFolder = ".durable";
const sectorBytes = 512;

/**
 * Leaves in a folder what a power cut would: each file has what was synced and
 * nothing else. The processes of the folder have to be dead, by SIGKILL.
 *
 * @param reachesDisk asked for each 512 bytes that differ from what was synced:
 *   whether they reached the disk all the same, as any may have; by default none did
 */
export function applyPowerCut(dir: string, reachesDisk: () => boolean = () => false): void {
  const durable = join(dir, durableFolder);
  rmSync(join(durable, ".part"), { force: true });
  for (const name of readdirSync(durable)) {
    writeLate(join(dir, name), join(durable, name), reachesDisk);
    renameSync(join(durable, name), join(dir, name));
  }
  for (const name of readdirSync(dir)) if (name.endsWith("-shm")) rmSync(join(dir, name));
}

/**
 * Takes a folder's files as they are for durable, as `sync` makes them. To be
 * called before processes start again after something else wrote to them.
 */
export function syncAll(dir: string): void {
  rmSync(join(dir, durableFolder), { recursive: true, force: true });
  mkdirSync(join(dir, durableFolder));
}

/** Writes some of what a file has in memory to its copy of the disk. */
function writeLate(path: string, durablePath: string, reachesDisk: () => boolean): void {
  const inMemory = readFileSync(path);
  const onDisk = readFileSync(durablePath);
  const file = openSync(durablePath, "r+");
  try {
    for (let at = 0; at < inMemory.length; at += sectorBytes) {
      const sector = inMemory.subarray(at, at + sectorBytes);
      if (sector.equals(onDisk.subarray(at, at + sectorBytes)) || !reachesDisk()) continue;
      writeSync(file, sector, 0, sector.length, at);
    }
    // A truncate that was not synced may have reached the disk too.
    if (statSync(durablePath).size > inMemory.length && reachesDisk()) ftruncateSync(file, inMemory.length);
  } finally {
    closeSync(file);
  }
}
