/** How programs that peers need are found and installed. */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Need } from "../peer.ts";
import { cacheFolder } from "./cache.ts";
import { outputOf, run } from "./run.ts";

/** A package of Debian. Its own service is not started. */
export function debianPackage(name: string): Need {
  return {
    version() {
      const status = outputOf("dpkg-query", ["-s", name]) ?? "";
      const [, version] = /^Version: (.*)$/m.exec(status) ?? [];
      return status.includes("Status: install ok installed") ? version : undefined;
    },
    async install() {
      if (process.getuid?.() !== 0) throw new Error(`${name} is not installed, and only root can install it`);
      // A fresh machine has no lists of packages, and old lists name packages that are gone.
      await run("apt-get", ["update"]);
      await run("apt-get", ["install", "-y", "--no-install-recommends", name], {
        DEBIAN_FRONTEND: "noninteractive",
        // Tells invoke-rc.d that services are none of its business.
        RUNLEVEL: "1",
      });
    },
  };
}

/** A program in Go, built from its module. */
export function goProgram(module: string, version: string): Need {
  return {
    version: () => (existsSync(goBinary(module)) ? version : undefined),
    install: () =>
      run("go", ["install", `${module}@${version}`], {
        GOBIN: cacheFolder("bin"),
        GOPATH: cacheFolder("go"),
        GOCACHE: cacheFolder("go-build"),
        GOFLAGS: "-p=1 -buildvcs=false -modcacherw",
      }),
  };
}

/** Returns where the program of a Go module is. */
export function goBinary(module: string): string {
  const withoutVersion = module.replace(/\/v\d+$/, "");
  return join(cacheFolder("bin"), withoutVersion.slice(withoutVersion.lastIndexOf("/") + 1));
}

/** Packages of npm, each as `name@version`; the version is that of the first. */
export function npmPackages(...packages: [string, ...string[]]): Need {
  const [name = ""] = packages[0].split("@");
  const manifest = join(cacheFolder("node"), "node_modules", name, "package.json");
  return {
    version: () =>
      existsSync(manifest)
        ? (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version
        : undefined,
    install: () =>
      run("npm", ["install", "--no-audit", "--no-fund", "--prefix", cacheFolder("node"), ...packages]),
  };
}
