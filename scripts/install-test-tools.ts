/**
 * Installs what tests use beside npm packages, where that is possible: from
 * Debian's packages a browser, a library that sets the clocks of processes, a
 * database, a message broker, a proxy and what sets up networks; from its Go
 * module helm. Where it is not, it says what to install, and the tests that
 * need it say why they are skipped.
 */

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { buildHelm, helmInstallCommand, helmIsThere } from "./built-helm.ts";

/** Whether a program is where Debian's packages have theirs, some of which are off the PATH of users. */
const hasProgram = (name: string) =>
  ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin"].some((folder) =>
    existsSync(`${folder}/${name}`),
  );

/** A package, and whether what it brings is there. */
const packages = [
  { name: "chromium", isThere: () => existsSync("/usr/bin/chromium") },
  {
    name: "libfaketime",
    isThere: () => readdirSync("/usr/lib").some((folder) => existsSync(`/usr/lib/${folder}/faketime`)),
  },
  // Where it is new it also starts a cluster of its own, which the tests leave alone.
  { name: "postgresql", isThere: () => existsSync("/usr/lib/postgresql") },
  { name: "nats-server", isThere: () => hasProgram("nats-server") },
  { name: "nginx-light", isThere: () => hasProgram("nginx") },
  { name: "iproute2", isThere: () => hasProgram("ip") },
  { name: "nftables", isThere: () => hasProgram("nft") },
];

const chosen = process.argv.slice(2);
const isWanted = (name: string) => chosen.length === 0 || chosen.includes(name);

const missing = packages.filter(({ name, isThere }) => isWanted(name) && !isThere()).map(({ name }) => name);
if (missing.length > 0) {
  const command = `apt-get install -y --no-install-recommends ${missing.join(" ")}`;
  if (process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) {
    console.error(
      `Some tests need ${missing.join(" and ")}, and will be skipped. On Debian: sudo ${command}`,
    );
  } else {
    console.error(`Tests need ${missing.join(" and ")}: ${command}`);
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    const run = (line: string) =>
      spawnSync("sh", ["-c", line], { env, stdio: ["ignore", "ignore", "inherit"] }).status;
    // A fresh machine has no lists of packages, and old lists name packages that are gone.
    run("apt-get update");
    if (run(command) !== 0) console.error("That failed; tests that need them will be skipped.");
  }
}

if (isWanted("helm") && !helmIsThere()) {
  console.error(`Tests need helm: ${helmInstallCommand}, which takes a few minutes once`);
  const failure = buildHelm();
  if (failure !== undefined) console.error(`That failed; tests of the chart will be skipped: ${failure}`);
}
