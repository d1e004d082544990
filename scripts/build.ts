/**
 * Builds `dist/`: the compiled sources beside a copy of the generated code, so
 * that imports stay as they are, and the web page.
 */

import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, rmSync } from "node:fs";

rmSync("dist", { recursive: true, force: true });
run("tsc", "-p", "tsconfig.build.json");
cpSync("gen", "dist/gen", { recursive: true });
chmodSync("dist/src/main.js", 0o755);
run("vite", "build", "clients/web", "--logLevel", "warn");

function run(command: string, ...args: string[]): void {
  const { status } = spawnSync(command, args, { stdio: "inherit" });
  if (status !== 0) process.exit(1);
}
