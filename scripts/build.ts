/** Builds `dist/`: the compiled sources beside a copy of the generated code, so that imports stay as they are. */

import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, rmSync } from "node:fs";

rmSync("dist", { recursive: true, force: true });
const { status } = spawnSync("tsc", ["-p", "tsconfig.build.json"], { stdio: "inherit" });
if (status !== 0) process.exit(1);
cpSync("gen", "dist/gen", { recursive: true });
chmodSync("dist/src/main.js", 0o755);
