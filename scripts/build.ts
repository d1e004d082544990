/**
 * Builds `dist/`: the compiled sources beside a copy of the generated code, so
 * that imports stay as they are, the web page, and the list of all packages
 * that are in it or were used to build it (CycloneDX).
 */

import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

// Vite empties its own folder when it has built what comes there: servers that start meanwhile have a page.
for (const name of existsSync("dist") ? readdirSync("dist") : [])
  if (name !== "web") rmSync(`dist/${name}`, { recursive: true });
run("tsc", "-p", "tsconfig.build.json");
cpSync("gen", "dist/gen", { recursive: true });
chmodSync("dist/src/main.js", 0o755);
run("vite", "build", "clients/web", "--logLevel", "warn");

writeFileSync("dist/sbom.cdx.json", `${JSON.stringify(readBillOfMaterials(), null, 2)}\n`);

/** Lists what is locked. Says nothing of when and where, so that equal sources make equal files. */
function readBillOfMaterials(): unknown {
  const args = ["sbom", "--sbom-format", "cyclonedx", "--package-lock-only"];
  const { status, stdout } = spawnSync("npm", args, {
    encoding: "utf8",
    maxBuffer: 2 ** 26,
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) process.exit(1);
  const { serialNumber, ...bill } = JSON.parse(stdout);
  delete bill.metadata.timestamp;
  // npm takes the folder's name.
  bill.metadata.component.name = JSON.parse(readFileSync("package.json", "utf8")).name;
  return bill;
}

function run(command: string, ...args: string[]): void {
  // Whatever runs this: React's page for development is half as large again.
  const env = { ...process.env, NODE_ENV: "production" };
  const { status } = spawnSync(command, args, { stdio: "inherit", env });
  if (status !== 0) process.exit(1);
}
