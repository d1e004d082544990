import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The wall clock of processes, which can be set while they run. */
export interface Clock {
  /** What a process needs in its environment to have this clock. */
  readonly env: Readonly<Record<string, string>>;
  /**
   * Sets the clock so many seconds before (`-3600s`) or after (`+3600s`) the
   * true time, at once. Timers and other monotonic clocks do not notice.
   */
  setOffset(offset: string): void;
  /** Takes the clock away. Its processes have to have ended. */
  close(): void;
}

/** Returns the reason why clocks cannot be set here, if there is one. */
export function missingClock(): string | undefined {
  return findLibrary() === undefined ? "libfaketime is not installed: apt-get install faketime" : undefined;
}

/** Makes a clock that shows the true time until it is set. */
export function createClock(): Clock {
  const library = findLibrary();
  if (library === undefined) throw new Error(missingClock());
  const folder = mkdtempSync(join(tmpdir(), "parlance-clock-"));
  const file = join(folder, "offset");
  const setOffset = (offset: string) => {
    if (!/^[+-]\d+s?$/.test(offset)) throw new RangeError(`${offset} is no offset such as +3600s`);
    // Renamed, because processes read it at any moment.
    writeFileSync(`${file}.new`, `${offset}\n`);
    renameSync(`${file}.new`, file);
  };
  setOffset("+0s");
  return {
    env: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      // Times of files stay what they are when a clock jumps.
      NO_FAKE_STAT: "1",
    },
    setOffset,
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Finds the library for processes with threads. */
function findLibrary(): string | undefined {
  return ["/usr/lib", "/usr/local/lib"]
    .flatMap((folder) => [folder, ...entriesOf(folder)])
    .map((folder) => join(folder, "faketime", "libfaketimeMT.so.1"))
    .find((library) => existsSync(library));
}

function entriesOf(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
}
