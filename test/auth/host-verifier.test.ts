/** A verifier of the host's own may return or throw anything. */

import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { createChannel, createServer as createGrpcServer } from "nice-grpc";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ChatError, createParlance, createSqliteStore, ErrorReason, type Parlance } from "../../src/index.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { isUserId } from "../../wire/user-id.ts";
import { type Clients, clientsOf } from "../support/clients.ts";
import { failureOf } from "../support/errors.ts";
import { seed } from "../support/seed.ts";

const token = "a-token-that-no-log-may-repeat";
const folder = mkdtempSync(join(tmpdir(), "parlance-verifier-"));

/** What the verifier does next. */
let verify: () => unknown;
let lines: Record<string, unknown>[] = [];
let parlance: Parlance;
let clients: Clients;
let httpAddress: string;
let close: () => Promise<void>;

beforeAll(async () => {
  const store = await createSqliteStore({ path: join(folder, "chat.db") });
  const logger = createLogger({ logLevel: "info" }, { write: (line) => void lines.push(JSON.parse(line)) });
  parlance = await createParlance({ store, logger, auth: { verify: () => verify() as never } });
  const server = createGrpcServer(parlance.serverOptions);
  parlance.mount(server);
  const port = await server.listen("127.0.0.1:0");
  const channel = createChannel(`127.0.0.1:${port}`);
  clients = clientsOf(channel, {});
  const http = createServer((request, response) => void parlance.handleHttp(request, response));
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  httpAddress = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  close = async () => {
    channel.close();
    http.close();
    await parlance.shutdown(server, 100);
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  };
});
afterAll(() => close());

const soonMs = () => Date.now() + 60_000;
const returning =
  (fields: object | null | undefined | string, async = true) =>
  () =>
    async ? Promise.resolve(fields) : fields;
const identity = (fields: object) =>
  returning({ userId: "ada", expireTimeMs: soonMs(), issueTimeMs: 0, ...fields });
const throwing = (error: unknown) => () => {
  throw error;
};

const answers: Record<string, [behaviour: () => unknown, reason: string, rule?: string]> = {
  "an empty id": [identity({ userId: "" }), "INVALID_TOKEN", "userId"],
  "an id with a newline": [identity({ userId: "ada\n" }), "INVALID_TOKEN", "userId"],
  "an id of 500 bytes": [identity({ userId: "a".repeat(500) }), "INVALID_TOKEN", "userId"],
  "a number as id": [identity({ userId: 7 }), "INVALID_TOKEN", "userId"],
  "half a surrogate pair as id": [identity({ userId: "a\ud800" }), "INVALID_TOKEN", "userId"],
  "null as id": [identity({ userId: null }), "INVALID_TOKEN", "userId"],
  "an object as id": [identity({ userId: { toString: () => "ada" } }), "INVALID_TOKEN", "userId"],
  "no id": [identity({ userId: undefined }), "INVALID_TOKEN", "userId"],
  "NaN as the time it expires": [identity({ expireTimeMs: Number.NaN }), "INVALID_TOKEN", "expireTimeMs"],
  "no time when it expires": [identity({ expireTimeMs: undefined }), "INVALID_TOKEN", "expireTimeMs"],
  "a date as the time it expires": [identity({ expireTimeMs: new Date() }), "INVALID_TOKEN", "expireTimeMs"],
  "seconds as the time it expires": [
    identity({ expireTimeMs: soonMs() / 1000 }),
    "INVALID_TOKEN",
    "milliseconds",
  ],
  "a time in the past": [identity({ expireTimeMs: Date.now() - 1 }), "TOKEN_EXPIRED"],
  "NaN as the time of issue": [identity({ issueTimeMs: Number.NaN }), "INVALID_TOKEN", "issueTimeMs"],
  "a time of issue ahead": [identity({ issueTimeMs: soonMs() }), "INVALID_TOKEN", "future"],
  null: [returning(null), "UNSPECIFIED"],
  undefined: [returning(undefined, false), "UNSPECIFIED"],
  "a text": [returning("ada"), "INVALID_TOKEN", "userId"],
  "what throws when it is read": [
    returning({
      get userId() {
        throw new Error(`the getter knows ${token}`);
      },
    }),
    "UNSPECIFIED",
  ],
  "an error": [throwing(new Error(`bad token ${token}`)), "UNSPECIFIED"],
  "a rejection": [() => Promise.reject(new TypeError(`cannot read ${token}`)), "UNSPECIFIED"],
  "a thrown text": [throwing(`no: ${token}`), "UNSPECIFIED"],
  "a thrown undefined": [throwing(undefined), "UNSPECIFIED"],
  "an error without a stack": [throwing(Object.assign(new Error("x"), { stack: undefined })), "UNSPECIFIED"],
  "a refusal": [throwing(new ChatError(ErrorReason.TOKEN_EXPIRED, "too old")), "TOKEN_EXPIRED"],
  "a refusal with a reason nobody knows": [throwing(new ChatError(999 as ErrorReason, "?")), "UNSPECIFIED"],
};

/** What Login, a call with the token and the same over HTTP are answered. */
async function outcomes(): Promise<string[]> {
  const reasonOf = (call: Parameters<typeof failureOf>[0]) =>
    failureOf(call).then(
      ({ reasonName }) => reasonName,
      () => "OK",
    );
  const credential = { case: "token" as const, value: token };
  const overHttp = await fetch(`${httpAddress}/parlance.chat.v1.ChatService/Login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token }),
  });
  const { details } = (await overHttp.json()) as { details?: { debug?: { reason?: string } }[] };
  return [
    await reasonOf((o) => clients.chat.login({ credential }, o)),
    overHttp.status === 200 ? "OK" : (details?.[0]?.debug?.reason ?? "UNSPECIFIED"),
  ];
}

test.each(Object.entries(answers))(
  "a host's verifier that answers with %s gets its caller a typed answer, and the host a line that names what is wrong",
  async (_, [behaviour, reason, rule]) => {
    verify = behaviour;
    lines = [];
    expect(await outcomes()).toEqual([reason, reason]);
    const errors = lines.filter(({ level }) => level === "error");
    expect(errors).toHaveLength(reason === "INVALID_TOKEN" || reason === "UNSPECIFIED" ? 2 : 0);
    if (rule !== undefined)
      for (const line of errors) expect(line).toMatchObject({ rule: expect.stringContaining(rule) });
    expect(JSON.stringify(lines)).not.toContain(token);
  },
);

test("times without end are good, and cut to what a timestamp can hold", async () => {
  for (const expireTimeMs of [Number.POSITIVE_INFINITY, 1e300, soonMs() + 0.5]) {
    verify = identity({ expireTimeMs });
    expect(await outcomes()).toEqual(["OK", "OK"]);
  }
  verify = identity({ issueTimeMs: undefined });
  expect(await outcomes()).toEqual(["OK", "OK"]);
});

test("whatever a host's verifier returns, only a proper id logs in, as itself", async () => {
  const value = fc.oneof(
    fc.anything(),
    fc.string({ unit: "binary", maxLength: 140 }),
    fc.constantFrom("ada", "Zoë 🙂", " ada", "ada\u202e"),
  );
  const time = fc.oneof({ weight: 3, arbitrary: fc.constant(soonMs()) }, fc.double(), fc.anything());
  await fc.assert(
    fc.asyncProperty(fc.record({ userId: value, expireTimeMs: time, issueTimeMs: time }), async (made) => {
      verify = returning(made);
      const { chat } = clients;
      const credential = { case: "token" as const, value: token };
      const login = await failureOf((o) => chat.login({ credential }, o)).catch(() => undefined);
      if (login !== undefined) {
        expect(["INVALID_TOKEN", "TOKEN_EXPIRED"]).toContain(login.reasonName);
        return;
      }
      expect(typeof made.userId === "string" && isUserId(made.userId)).toBe(true);
      expect((await chat.login({ credential })).userId).toBe(made.userId);
    }),
    { seed: seed(), numRuns: 300 },
  );
});
