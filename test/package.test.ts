/** The package as others install it: built, and imported from plain JavaScript. */

import { execFile } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));
const env = { ...process.env, NODE_OPTIONS: "" };

/** What a stranger's program looks like. */
const program = `
import { createServer } from "nice-grpc";
import { createParlance, ErrorReason, JoinPolicy, text } from "parlance";
import { connect, Status } from "parlance/client";

const parlance = await createParlance({ store: "./data/chat.db", auth: "dev" });
const server = createServer(parlance.serverOptions);
parlance.mount(server);
const address = "127.0.0.1:" + (await server.listen("127.0.0.1:0"));

const ada = await connect({ address, credentials: { devUserId: "ada" } });
await parlance.chat.as("host").groups.createGroup({ groupId: "g", memberIds: ["ada"], joinPolicy: JoinPolicy.OPEN });
await parlance.chat.sendDirect("host", { recipientId: "ada", content: text("Hello, Ada") });
for await (const event of ada.events()) {
  if (event.case !== "message") continue;
  console.log(event.value.senderId + ": " + event.value.content.kind.value.body);
  break;
}
const error = await ada.sendDirect("ada", "me").catch((thrown) => thrown);
console.log(error.name, Status[error.code], ErrorReason[error.reason]);
await ada.close();
await parlance.drain();
await server.shutdown();
await parlance.close();
`;

describe("the built package", () => {
  let folder: string;
  beforeAll(async () => {
    await run("npm", ["run", "build"], { cwd: root, env });
    folder = mkdtempSync(join(tmpdir(), "parlance-package-"));
    mkdirSync(join(folder, "node_modules"));
    symlinkSync(root, join(folder, "node_modules/parlance"));
    symlinkSync(join(root, "node_modules/nice-grpc"), join(folder, "node_modules/nice-grpc"));
    writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("starts an embedded server and a client in a plain JavaScript program", async () => {
    writeFileSync(join(folder, "program.js"), program);
    const { stdout, stderr } = await run(process.execPath, ["program.js"], {
      cwd: folder,
      env,
      timeout: 120_000,
    });
    expect({ stdout, stderr }).toEqual({
      stdout: "host: Hello, Ada\nParlanceError INVALID_ARGUMENT RECIPIENT_IS_SENDER\n",
      stderr: "",
    });
    expect(existsSync(join(folder, "data/chat.db"))).toBe(true);
  });

  test("lists every package that it needs, with version and checksum", () => {
    const read = (path: string) => JSON.parse(readFileSync(join(root, path), "utf8"));
    const bill = read("dist/sbom.cdx.json");
    const { name, version, dependencies } = read("package.json");
    expect(bill).toMatchObject({ bomFormat: "CycloneDX", metadata: { component: { name, version } } });
    interface Component {
      name: string;
      version: string;
      hashes: { alg: string }[];
    }
    const listed = new Map(
      (bill.components as Component[]).map((each) => [`${each.name}@${each.version}`, each]),
    );
    const { packages } = read("package-lock.json");
    for (const dependency of Object.keys(dependencies)) {
      const locked = `${dependency}@${packages[`node_modules/${dependency}`].version}`;
      expect(listed.get(locked)?.hashes, locked).toMatchObject([{ alg: "SHA-512" }]);
    }
    expect(listed.size).toBeGreaterThan(Object.keys(dependencies).length);
  });

  test("has types that a stranger's strict compiler takes", async () => {
    symlinkSync(join(root, "node_modules/@types"), join(folder, "node_modules/@types"));
    writeFileSync(
      join(folder, "typed.ts"),
      `import { createParlance, type Parlance, text } from "parlance";
import { type ClientEvent, connect } from "parlance/client";
export async function main(): Promise<bigint> {
  const parlance: Parlance = await createParlance({ store: "x.db", auth: { secret: "…" } });
  const client = await connect({ address: "x", credentials: { token: "y" } });
  const show = (event: ClientEvent): string => event.case;
  client.onState(() => show);
  // @ts-expect-error the id is a text
  await parlance.chat.sendDirect("host", { recipientId: 1, content: text("x") });
  return (await parlance.chat.sendDirect("host", { recipientId: "ada", content: text("x") })).seq;
}
`,
    );
    const options = [
      "--strict",
      "--noEmit",
      "--target",
      "es2024",
      "--module",
      "nodenext",
      "--skipLibCheck",
      "false",
    ];
    const tsc = join(root, "node_modules/.bin/tsc");
    const { stdout } = await run(tsc, [...options, "--types", "node", "typed.ts"], {
      cwd: folder,
      env,
    }).catch((error) => error);
    expect(stdout).toBe("");
  });

  test("has the command, which needs nothing but Node", async () => {
    const { bin, version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const { stdout } = await run(join(root, bin.parlance), ["--version"], { cwd: folder, env });
    expect(stdout.trim()).toBe(version);
  });

  test("holds everything its programs import, and nothing of the tests", async () => {
    const { stdout } = await run("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
      cwd: root,
      env,
    });
    const paths: string[] = JSON.parse(stdout)[0].files.map(({ path }: { path: string }) => path);
    for (const path of [
      "dist/src/index.js",
      "dist/src/index.d.ts",
      "dist/src/main.js",
      "dist/src/store/sqlite/thread/writer.js",
      "dist/clients/typescript/index.js",
      "dist/gen/parlance/chat/v1/chat_service_pb.js",
      "dist/gen/parlance/chat/v1/chat_service_pb.d.ts",
      "proto/parlance/chat/v1/chat_service.proto",
      "dist/sbom.cdx.json",
      "LICENSE",
      "README.md",
    ]) {
      expect(paths).toContain(path);
    }
    expect(paths.filter((path) => /^(test|bench|src|data|\.ci)\b|\.test\.|\.db$/.test(path))).toEqual([]);
  });
});
