import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const lockFile = new URL("../../package-lock.json", import.meta.url);

test.each([
  // Below, a malformed request or compressed message ends the process (CVE-2026-48068, CVE-2026-48069).
  ["@grpc/grpc-js", "1.14.4"],
  // Below, a message nested deep enough ends the process (CVE-2026-44289, CVE-2026-48712).
  ["protobufjs", "7.6.1"],
])(
  "%s is there once, in a version whose known holes are closed, %s or a later one of its kind",
  (name, least) => {
    const { packages } = JSON.parse(readFileSync(lockFile, "utf8")) as {
      packages: Record<string, { version: string }>;
    };
    const versions = Object.entries(packages)
      .filter(([path]) => path.endsWith(`node_modules/${name}`))
      .map(([, { version }]) => version);
    expect(versions).toHaveLength(1);
    const [major, minor, patch] = numbersOf(versions[0] ?? "");
    const [leastMajor, leastMinor = 0, leastPatch = 0] = numbersOf(least);
    // A new major is looked at by people first.
    expect(major).toBe(leastMajor);
    expect([minor, patch]).toSatisfy(
      ([minor, patch]) => minor > leastMinor || (minor === leastMinor && patch >= leastPatch),
    );
  },
);

function numbersOf(version: string): number[] {
  return version.split(".").map(Number);
}
