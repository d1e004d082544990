/** What `npm ci` installs is what was locked, from whatever registry. */

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const lock = readFileSync("package-lock.json", "utf8");

test("every locked package has the checksum of its content, and none the address of a registry", () => {
  const { packages } = JSON.parse(lock) as {
    packages: Record<string, { integrity?: string; link?: boolean }>;
  };
  const entries = Object.entries(packages).filter(([path, { link }]) => path !== "" && link !== true);
  expect(entries.length).toBeGreaterThan(100);
  const without = entries.filter(
    ([, { integrity }]) => !/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity ?? ""),
  );
  expect(without.map(([path]) => path)).toEqual([]);
  expect(lock).not.toContain('"resolved"');
});
