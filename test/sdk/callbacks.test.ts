import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import {
  type ClientEvent,
  type ConnectOptions,
  type Credentials,
  connect,
  type ParlanceClient,
  ParlanceError,
  Status,
} from "../../clients/typescript/index.ts";
import type { RunningServer } from "../../src/host/server.ts";
import { serve, temporaryFolder, until } from "./server.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: RunningServer;
let alice: ParlanceClient;
const unhandled: unknown[] = [];
const note = (reason: unknown) => void unhandled.push(reason);

beforeAll(async () => {
  process.on("unhandledRejection", note);
  folder = await temporaryFolder();
  server = await serve(folder.path);
  alice = await join("alice");
});

afterAll(async () => {
  await alice.close();
  await server.close();
  await folder.remove();
  process.off("unhandledRejection", note);
  expect(unhandled).toEqual([]);
});

function join(userId: string, options: Partial<ConnectOptions> = {}): Promise<ParlanceClient> {
  return connect({ address: server.address, credentials: { devUserId: userId }, ...options });
}

function textOf(event: ClientEvent): string | undefined {
  const kind = event.case === "message" ? event.value.content?.kind : undefined;
  return kind?.case === "text" ? kind.value.body : undefined;
}

/** Resolves with the error a client ends with. */
function endOf(client: ParlanceClient): Promise<ParlanceError | undefined> {
  return new Promise((resolve) => {
    client.onState((state, error) => {
      if (state === "closed") resolve(error);
    });
  });
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
}

const mistake = new Error("a mistake of the application");

test.each([
  [
    "throws",
    () => {
      throw mistake;
    },
  ],
  ["rejects", () => Promise.reject(mistake)],
  [
    "rejects later",
    async () => {
      await new Promise((resolve) => setImmediate(resolve));
      throw mistake;
    },
  ],
])("an onEvent that %s ends the client with its error, and the event comes again", async (how, fail) => {
  const bobId = `${how} bob`;
  const seen: string[] = [];
  const bob = await join(bobId, {
    onEvent(event) {
      const text = textOf(event);
      if (text !== undefined) seen.push(text);
      return text === "2" ? fail() : undefined;
    },
  });
  const end = endOf(bob);
  for (const text of ["1", "2", "3"]) await alice.sendDirect(bobId, text);
  expect(await end).toMatchObject({ name: "ParlanceError", cause: mistake });
  expect(bob.state).toBe("closed");
  expect(seen).toEqual(["1", "2"]);
  await bob.close();

  const again: string[] = [];
  const next = await join(bobId, { onEvent: (event) => void again.push(...[textOf(event) ?? []].flat()) });
  await until(() => again.includes("3"), "the rest comes");
  expect(again).toEqual(["2", "3"]);
  await next.close();
});

test("an onEvent that throws where nobody listens to the state is warned of", async () => {
  const warnings: Error[] = [];
  const warn = (warning: Error) => void warnings.push(warning);
  process.on("warning", warn);
  onTestFinished(() => void process.off("warning", warn));
  const bob = await join("lonely bob", {
    onEvent() {
      throw mistake;
    },
  });
  await until(() => warnings.some((warning) => warning.cause === mistake), "the process is warned");
  expect(bob.state).toBe("closed");
  await bob.close();
});

test("an asynchronous onEvent gets one event at a time, in order, and is waited for", async () => {
  const seen: string[] = [];
  let busy = 0;
  let most = 0;
  const bob = await join("async bob", {
    maxWaitingEvents: 5,
    async onEvent(event) {
      most = Math.max(most, ++busy);
      await new Promise((resolve) => setImmediate(resolve));
      busy--;
      const text = textOf(event);
      if (text !== undefined) seen.push(text);
    },
  });
  const texts = Array.from({ length: 200 }, (_, i) => String(i));
  await Promise.all(texts.map((text) => alice.sendDirect("async bob", text)));
  await until(() => seen.length === texts.length, "all are taken");
  expect(seen).toEqual(texts);
  expect(most).toBe(1);
  await bob.close();
});

test("a loop that is left with an error gets the event again in the next one", async () => {
  const bob = await join("looping bob");
  for (const text of ["1", "2"]) await alice.sendDirect("looping bob", text);
  const failing = (async () => {
    for await (const event of bob.events()) if (textOf(event) === "1") throw mistake;
  })();
  expect(await failureOf(failing)).toBe(mistake);
  const seen: string[] = [];
  for await (const event of bob.events()) {
    seen.push(...[textOf(event) ?? []].flat());
    if (seen.length === 2) break;
  }
  expect(seen).toEqual(["1", "2"]);
  await bob.close();
});

test.each([
  [
    "throws",
    () => {
      throw mistake;
    },
  ],
  ["rejects", () => Promise.reject(mistake)],
])("a listener of onState that %s ends the client, and the others are told", async (_, fail) => {
  const short = await serve(`${folder.path}/short`, { sessionTtlSeconds: "1" });
  const client = await join("bob", { address: short.address });
  const ends = [endOf(client)];
  // The token expires, which breaks the stream.
  client.onState((state) => (state === "reconnecting" ? fail() : undefined) as undefined);
  ends.push(endOf(client));
  expect(await Promise.all(ends)).toMatchObject([{ cause: mistake }, { cause: mistake }]);
  await client.close();
  await short.close();
});

test.each<[string, Credentials, object]>([
  ["throws nothing in particular", { getToken: () => Promise.reject(undefined) }, { code: Status.UNKNOWN }],
  ["returns no text", { getToken: () => 5 as never }, { violations: [{ field: "token" }] }],
  ["never answers", { getToken: () => new Promise(() => {}) }, { code: Status.DEADLINE_EXCEEDED }],
  ["is no function", { getToken: 5 as never }, { violations: [{ field: "credentials.getToken" }] }],
])("a getToken that %s fails the connecting with a ParlanceError", async (_, credentials, error) => {
  const failure = await failureOf(join("unused", { credentials, connectTimeoutMs: 500 }));
  expect(failure).toBeInstanceOf(ParlanceError);
  expect(failure).toMatchObject(error);
});

test.each(["onHeader", "onTrailer"] as const)("an %s that throws fails its call alone", async (name) => {
  const options = {
    [name]() {
      throw mistake;
    },
  };
  const [failure, sent] = await Promise.all([
    failureOf(alice.conversations.listConversations({}, options)),
    alice.sendDirect("bob", "beside it"),
  ]);
  expect(failure).toMatchObject({ name: "ParlanceError", cause: mistake });
  expect(sent.duplicate).toBe(false);
  expect(alice.state).toBe("live");
});
