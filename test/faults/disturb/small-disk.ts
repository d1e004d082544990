import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, statfsSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { missingCommand, missingRoot } from "./needs.ts";

/** A file system of a given size, in memory. */
export interface SmallDisk {
  /** The folder it is mounted at. */
  readonly path: string;
  /** How much room is left. */
  freeBytes(): number;
  /** Takes all room, or all but some: full pages of 4 KiB. */
  fill(leaveBytes?: number): void;
  /** Gives back what `fill` took. */
  free(): void;
  /** Takes the file system and all its files away, even while a process has some open. */
  close(): void;
}

/** Returns the reason why there can be no small disk here, if there is one. */
export function missingSmallDisk(): string | undefined {
  if (process.platform !== "linux") return "small disks are for Linux";
  return missingRoot() ?? missingCommand("mount");
}

/** Mounts a file system of so many bytes. It is also taken away when this process exits. */
export function createSmallDisk(bytes: number): SmallDisk {
  const path = mkdtempSync(join(tmpdir(), "parlance-disk-"));
  const ballast = join(path, "ballast");
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "parlance-test", path], { stdio: "pipe" });
  } catch (error) {
    rmdirSync(path);
    throw error;
  }
  let mounted = true;
  const close = () => {
    if (!mounted) return;
    mounted = false;
    process.off("exit", close);
    unmount(path);
    rmdirSync(path);
  };
  process.once("exit", close);

  const freeBytes = () => {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  };
  return {
    path,
    freeBytes,
    fill(leaveBytes = 0) {
      const file = openSync(ballast, "a");
      const block = Buffer.alloc(4_096);
      try {
        while (freeBytes() > leaveBytes) writeSync(file, block);
      } catch (error) {
        // Others write here too and may have taken the last page.
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      } finally {
        closeSync(file);
      }
    },
    free: () => rmSync(ballast, { force: true }),
    close,
  };
}

function unmount(path: string): void {
  try {
    execFileSync("umount", [path], { stdio: "pipe" });
  } catch {
    // Some process still has a file open: the file system goes when it is done.
    execFileSync("umount", ["--lazy", path], { stdio: "pipe" });
  }
}
