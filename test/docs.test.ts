import { existsSync, globSync, readFileSync } from "node:fs";
import { Status } from "nice-grpc";
import { expect, test } from "vitest";
import { settingsPage } from "../scripts/settings-docs.ts";
import { settings } from "../src/config/settings.ts";
import { ErrorReason } from "../src/model/errors.ts";
import { statusOf } from "../src/net/errors.ts";

test("docs/settings.md has every setting as it is; if not, run `npm run docs`", () => {
  expect(readFileSync("docs/settings.md", "utf8")).toBe(settingsPage());
});

test("docs/errors.md has every reason with its code, in the order of the proto", () => {
  const rows = readFileSync("docs/errors.md", "utf8").matchAll(
    /^\| `([A-Z_]+)` \| `([A-Z_]+)` \| (.+) \| (.+) \|$/gm,
  );
  const documented = [...rows].map(([, reason, code]) => [reason, code]);
  const reasons = Object.entries(ErrorReason).filter(([, value]) => typeof value === "number") as [
    string,
    ErrorReason,
  ][];
  expect(documented).toEqual(reasons.map(([name, reason]) => [name, Status[statusOf[reason]]]));
});

test("the README names the versions of Node that the package asks for and brings", () => {
  const readme = readFileSync("README.md", "utf8");
  const { engines, devDependencies } = JSON.parse(readFileSync("package.json", "utf8"));
  const oldest = /^>=([\d.]+)$/.exec(engines.node)?.[1];
  const own = /^\^(\d+)\./.exec(devDependencies.node)?.[1];
  expect(readme).toContain(`| ${oldest} or newer |`);
  expect(readme).toContain(`runs on the Node ${own} that`);
});

test("SECURITY.md names the settings of whom the server trusts, as they are", () => {
  const named = readFileSync("SECURITY.md", "utf8").matchAll(/`([a-z]+[A-Z]\w*)`/g);
  const notSettings = new Set(["createParlance"]);
  for (const [, name = ""] of named) if (!notSettings.has(name)) expect(settings, name).toHaveProperty(name);
});

test("the page on the insides of libraries names files and tests that exist, and the versions installed", () => {
  const rows = readFileSync("src/net/README.md", "utf8")
    .split("\n")
    .filter((line) => line.startsWith("| `"));
  expect(rows.length).toBeGreaterThan(5);
  for (const [, files = "", relied = "", tests = ""] of rows.map((row) => row.split("|"))) {
    for (const [, file] of files.matchAll(/`([\w-]+\.ts)`/g))
      expect(existsSync(`src/net/${file}`)).toBe(true);
    const named = [...tests.matchAll(/`([\w/.-]+)`/g)].map(
      ([, path = ""]) => `test/${path.replace(/^test\//, "")}`,
    );
    expect(named.length).toBeGreaterThan(0);
    for (const path of named) expect([path, existsSync(path)]).toEqual([path, true]);
    for (const [, library = "", version] of relied.matchAll(/(grpc-js|Connect|NATS client) (\d+\.\d+\.\d+)/g))
      expect([library, versionOf(library)]).toEqual([library, version]);
  }
});

function versionOf(library: string): string {
  const names: Record<string, string> = {
    "grpc-js": "@grpc/grpc-js",
    Connect: "@connectrpc/connect",
    "NATS client": "@nats-io/transport-node",
  };
  const manifest = readFileSync(`node_modules/${names[library]}/package.json`, "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

test("every word of the glossary is one that protos or code use", () => {
  const architecture = readFileSync("docs/architecture.md", "utf8");
  const glossary = architecture.slice(architecture.indexOf("## Words"), architecture.indexOf("## Modules"));
  const words = [...glossary.matchAll(/^\| (\w+) \|/gm)]
    .map(([, word = ""]) => word)
    .filter((word) => word !== "word");
  expect(words.length).toBeGreaterThan(15);
  const sources = globSync(["proto/**/*.proto", "wire/**/*.ts", "src/**/*.ts"])
    .map((path) => readFileSync(path, "utf8"))
    .join("\n")
    // Names alone, without what comments say of them.
    .replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
  // As a name, or as a part of one.
  const isUsed = (word: string) =>
    new RegExp(
      `\\b${word}(s|es)?(?![a-z])|[a-z_]${word[0]?.toUpperCase()}${word.slice(1)}|\\b${word[0]?.toUpperCase()}${word.slice(1)}(?![a-z])`,
    ).test(sources);
  expect(words.filter((word) => !isUsed(word))).toEqual([]);
});
