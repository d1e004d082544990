/** The service as somebody meets it who has nothing but `buf curl`: no files, no client. */

import { type ChildProcessWithoutNullStreams, execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { Health } from "../gen/grpc/health/v1/health_pb.js";
import { chatServices } from "../wire/services.ts";
import { eventually } from "./support/eventually.ts";
import { exitOf, makeDataDir } from "./support/serve-child.ts";
import { startTestServer } from "./support/server.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const bin = join(root, "node_modules/.bin");
const buf = join(bin, "buf");
const env = {
  ...process.env,
  npm_config_loglevel: "error",
  NODE_OPTIONS: "",
  PATH: `${bin}:${process.env.PATH}`,
};

const dataDir = makeDataDir();
let server: ChildProcessWithoutNullStreams;
let greeting = "";
let address: string;
beforeAll(async () => {
  const args = [join(root, "src/main.ts"), "serve", "--port", "0", "--data-dir", dataDir.path];
  server = spawn(process.execPath, args, { env });
  server.stdout.setEncoding("utf8").on("data", (chunk) => {
    greeting += chunk;
  });
  server.stderr.resume();
  await eventually(() => greeting.includes("Stop it with Ctrl-C"));
  address = /listens on (\S+)/.exec(greeting)?.[1] ?? "";
});
afterAll(async () => {
  const exited = exitOf(server);
  server.kill("SIGTERM");
  expect(await exited).toBe(0);
  dataDir.remove();
});

/** A program that runs, and what it has printed so far. */
class Program {
  stdout = "";
  stderr = "";
  readonly exited: Promise<number | NodeJS.Signals>;
  readonly #child: ChildProcessWithoutNullStreams;

  constructor(file: string, args: string[], variables: Record<string, string> = {}) {
    this.#child = spawn(file, args, { cwd: root, env: { ...env, ...variables }, detached: true });
    this.#child.stdout.setEncoding("utf8").on("data", (chunk) => {
      this.stdout += chunk;
    });
    this.#child.stderr.setEncoding("utf8").on("data", (chunk) => {
      this.stderr += chunk;
    });
    this.exited = exitOf(this.#child);
  }

  /** Types a line. */
  type(request: object): void {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
  }

  /** Ends the input, as Ctrl-D does. */
  endInput(): void {
    this.#child.stdin.end();
  }

  /** Waits until it has printed a text. */
  async prints(part: string): Promise<void> {
    await eventually(() => {
      if (this.#child.exitCode !== null)
        throw new Error(`it ended before it printed ${part}: ${this.stdout}${this.stderr}`);
      return this.stdout.includes(part);
    });
  }

  /** Ends it and whatever it started, as Ctrl-C does. */
  async interrupt(): Promise<void> {
    process.kill(-(this.#child.pid as number), "SIGINT");
    await this.exited;
  }

  /** Waits for its end and returns what it printed as JSON values, one after another. */
  async answers(): Promise<Record<string, unknown>[]> {
    expect({ exit: await this.exited, stderr: this.stderr }).toEqual({ exit: 0, stderr: "" });
    return jsonValues(this.stdout);
  }
}

/** Reads JSON objects that stand one after another. */
function jsonValues(output: string): Record<string, unknown>[] {
  return output
    .split(/(?<=^\}|^\{\})\n/m)
    .filter((part) => part.trim() !== "")
    .map((part) => JSON.parse(part));
}

function curl(method: string, args: string[]): Program {
  return new Program(buf, [
    "curl",
    "--http2-prior-knowledge",
    "--protocol",
    "grpc",
    ...args,
    `http://${address}/${method}`,
  ]);
}

const chat = "parlance.chat.v1.ChatService";

async function login(userId: string): Promise<string> {
  const [answer] = await curl(`${chat}/Login`, ["-d", JSON.stringify({ dev_user_id: userId })]).answers();
  return `authorization: Bearer ${answer?.sessionToken}`;
}

test("buf is there, as npm installs it", () => {
  expect(existsSync(buf)).toBe(true);
});

test("every method is found by reflection", async () => {
  const program = new Program(buf, [
    "curl",
    "--http2-prior-knowledge",
    "--protocol",
    "grpc",
    `http://${address}`,
    "--list-methods",
  ]);
  expect({ exit: await program.exited, stderr: program.stderr }).toEqual({ exit: 0, stderr: "" });
  const own = [...chatServices, Health].flatMap(({ typeName, methods }) =>
    methods.map(({ name }) => `${typeName}/${name}`),
  );
  const listed = program.stdout.trim().split("\n");
  expect(listed.filter((method) => !method.startsWith("grpc.reflection.")).sort()).toEqual(own.sort());
});

test("the three calls that serve prints work as they are printed", async () => {
  const calls = greeting
    .replaceAll("\\\n", " ")
    .split("\n")
    .filter((line) => line.trimStart().startsWith("npx "));
  expect(calls).toHaveLength(3);
  const [loginCall, listenCall, sendCall] = calls as [string, string, string];

  const [answer] = await new Program("bash", ["-c", loginCall]).answers();
  const variables = { TOKEN: String(answer?.sessionToken) };
  const listening = new Program("bash", ["-c", listenCall], variables);
  await listening.prints("caughtUp");
  const [sent] = (await new Program("bash", ["-c", sendCall], variables).answers()) as {
    result: { messageId: string };
  }[];
  // The sender's own stream shows it too, so the three calls make a whole.
  await listening.prints(String(sent?.result.messageId));
  await listening.prints('"Hello"');
  await listening.interrupt();
});

test("a whole chat of two users can be typed into Stream", async () => {
  const [ada, ben] = (await Promise.all(["ada", "ben"].map(login))) as [string, string];
  const [adas, bens] = [ada, ben].map((token) => curl(`${chat}/Stream`, ["-H", token, "-d", "@-"])) as [
    Program,
    Program,
  ];
  // No `open`: the first request of any kind opens the stream.
  bens.type({ request_id: "b1", ping: {} });
  await bens.prints("pong");
  adas.type({
    request_id: "a1",
    send_direct: { recipient_id: "ben", content: { text: { body: "Hello, Ben 👋" } } },
  });
  await adas.prints('"sent"');
  await bens.prints("Hello, Ben 👋");
  bens.type({ send_direct: { recipient_id: "ada", content: { text: { body: "Hello, Ada" } } } });
  await adas.prints("Hello, Ada");
  bens.type({ set_typing: { recipient_id: "ada", typing: true } });
  await adas.prints('"typing": {');
  bens.type({ request_id: "b2", mark_read: { conversation_id: "d:ada:ben", up_to_seq: 1 } });
  await bens.prints('"conversation": {');
  await adas.prints('"receipt"');
  bens.type({ request_id: "b3", send_group: { group_id: "none", content: { text: { body: "x" } } } });
  await bens.prints("GROUP_NOT_FOUND");
  bens.type({ request_id: "b4", watch_presence: { user_ids: ["ada"] } });
  await bens.prints('"b4"');
  bens.type({ open: {} });
  await bens.prints("STREAM_ALREADY_OPEN");
  adas.endInput();
  bens.endInput();

  const events = (await bens.answers()).flatMap((response) => response.events as object[]);
  expect(
    events.map((event) => Object.keys(event).find((key) => key !== "requestId" && key !== "cursor")),
  ).toEqual(
    expect.arrayContaining([
      "opened",
      "caughtUp",
      "pong",
      "message",
      "sent",
      "receipt",
      "conversation",
      "refusal",
      "presence",
      "done",
    ]),
  );
  const messages = (await adas.answers())
    .flatMap((response) => response.events as { message?: { seq: string; senderId: string } }[])
    .flatMap(({ message }) => (message === undefined ? [] : [`${message.seq} ${message.senderId}`]));
  expect(messages).toEqual(["1 ada", "2 ben"]);
});

test("what was typed wrong is answered with the field and the rule", async () => {
  const token = await login("ada");
  const call = curl(`${chat}/SendDirect`, [
    "-H",
    token,
    "-d",
    '{"recipient_id":"ada","content":{"text":{"body":"to myself"}}}',
  ]);
  expect(await call.exited).not.toBe(0);
  expect(refusalOf(call)).toEqual({
    code: "invalid_argument",
    says: expect.stringContaining("RECIPIENT_IS_SENDER"),
  });
  expect(refusalOf(call).says).toContain("recipient_id");

  const anonymous = curl(`${chat}/SendDirect`, ["-d", "{}"]);
  expect(await anonymous.exited).not.toBe(0);
  expect(refusalOf(anonymous)).toEqual({
    code: "unauthenticated",
    says: expect.stringContaining("MISSING_TOKEN"),
  });
});

/** What `buf curl` shows of a refusal; it leaves details as they are on the wire. */
function refusalOf({ stderr }: Program): { code: string; says: string } {
  const { code, details } = JSON.parse(stderr) as { code: string; details: { value: string }[] };
  return { code, says: details.map(({ value }) => Buffer.from(value, "base64").toString()).join() };
}

test.each([
  ["dev", undefined, true],
  ["jwt", undefined, false],
  ["jwt", true, true],
] as const)("with auth %s and reflection %s the contract is shown: %s", async (auth, reflection, isShown) => {
  const jwtSecret = auth === "jwt" ? "a secret of thirty-two bytes and more" : undefined;
  const server = await startTestServer({ auth, jwtSecret, reflection });
  onTestFinished(() => server.close());
  for (const address of [server.address, server.server.httpAddress]) {
    const args = [
      "curl",
      "--http2-prior-knowledge",
      "--protocol",
      "grpc",
      "--list-services",
      `http://${address}`,
    ];
    const listed = await promisify(execFile)(buf, args).then(
      ({ stdout }) => stdout.includes("parlance.chat.v1.ChatService"),
      () => false,
    );
    expect(listed).toBe(isShown);
  }
});
