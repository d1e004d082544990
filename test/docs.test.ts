import { readFileSync } from "node:fs";
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
