import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type ClientEvent,
  type ConnectOptions,
  connect,
  type ParlanceClient,
  type ParlanceError,
  Status,
} from "../../clients/typescript/index.ts";
import type { RunningServer } from "../../src/server.ts";
import { serve, temporaryFolder, until } from "./server.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: RunningServer;

beforeAll(async () => {
  folder = await temporaryFolder();
  server = await serve(folder.path);
});

afterAll(async () => {
  await server.close();
  await folder.remove();
});

function join(userId: string, options: Partial<ConnectOptions> = {}): Promise<ParlanceClient> {
  return connect({ address: server.address, credentials: { devUserId: userId }, ...options });
}

/** Connects a user and collects what they are shown. */
async function collect(userId: string, options: Partial<ConnectOptions> = {}) {
  const events: ClientEvent[] = [];
  const client = await join(userId, { ...options, onEvent: (event) => void events.push(event) });
  const messages = () => events.flatMap((event) => (event.case === "message" ? [event.value] : []));
  const caughtUp = () =>
    until(() => events.some((event) => event.case === "caughtUp"), "everything missed was shown");
  return { client, events, messages, caughtUp };
}

/** A content of about this size when encoded. */
function blob(bytes: number) {
  const value = { typeUrl: "type.example.com/Blob", value: new Uint8Array(bytes) };
  return { kind: { case: "custom" as const, value } };
}

test("messages too large for one answer are read in smaller pages", async () => {
  const [alice, bobId] = [await join("large-alice"), "large-bob"];
  await Promise.all(Array.from({ length: 40 }, () => alice.sendDirect(bobId, blob(60_000))));
  const bob = await collect(bobId, {
    replayLimit: 10,
    channelOptions: { "grpc.max_receive_message_length": 200_000 },
  });
  await bob.caughtUp();
  expect(bob.messages().map(({ seq }) => Number(seq))).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  expect(bob.client.stats.reconnects).toBe(0);
  await Promise.all([alice.close(), bob.client.close()]);
});

test("what can never be read ends the client with the reason, after a few tries", async () => {
  const [alice, bobId] = [await join("never-alice"), "never-bob"];
  for (let i = 0; i < 3; i++) await alice.sendDirect(bobId, blob(60_000));
  const states: string[] = [];
  const bob = await join(bobId, {
    replayLimit: 2,
    backoff: { capMs: 10 },
    channelOptions: { "grpc.max_receive_message_length": 50_000 },
  });
  bob.onState((state) => states.push(state));
  const error = await (async () => {
    for await (const event of bob.events()) throw new Error(`it was shown ${event.case}`);
  })().then(
    () => undefined,
    (reason: ParlanceError) => reason,
  );
  expect(error).toMatchObject({ name: "ParlanceError", code: Status.RESOURCE_EXHAUSTED });
  expect(states.at(-1)).toBe("closed");
  expect(bob.stats.reconnects).toBeLessThan(5);
  await Promise.all([alice.close(), bob.close()]);
});
