/** Builds `dist/`: the compiled sources beside a copy of the generated code, so that imports stay as they are. */

import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, rmSync } from "node:fs";

rmSync("dist", { recursive: true, force: true });
execFileSync("tsc", ["-p", "tsconfig.build.json"], { stdio: "inherit" });
cpSync("gen", "dist/gen", { recursive: true });
chmodSync("dist/src/main.js", 0o755);
