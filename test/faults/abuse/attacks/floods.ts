/** One user who asks for the same again and again, as fast as it goes. */

import { Metadata } from "nice-grpc";
import { v7 as uuidv7 } from "uuid";
import { defaultUserRates as rates } from "../../../../src/chat/rate-limits.ts";
import { type Connection, logIn } from "../../../support/connect.ts";
import { text } from "../../../support/server.ts";
import type { Attack } from "../attack.ts";
import { Tally } from "../tally.ts";
import { inParallel } from "./in-parallel.ts";

const attacker = "mallory";

/** Makes an attack of one call that is made by 200 at a time, over two connections. */
function flood(
  about: Pick<Attack, "id" | "name" | "title">,
  what: string,
  most: { atOnce: number; perSecond: number },
  call: (client: Connection, n: number, options: { signal: AbortSignal }) => Promise<unknown>,
): Attack {
  return {
    ...about,
    async run(target) {
      const tally = new Tally(target);
      const [token] = await logIn(target.address, [attacker]);
      const connections = [target.connect(token), target.connect(token)];
      let n = 0;
      await inParallel(200, target, (worker) =>
        tally.count(call(connections[worker % 2] as Connection, n++, { signal: target.signal })),
      );
      return tally.report(what, most);
    },
  };
}

const perSecond = (limit: number) => ({ atOnce: 10 * limit, perSecond: limit });
const perMinute = (limit: number) => ({ atOnce: limit, perSecond: limit / 60 });

const sendFlood = flood(
  { id: "D1", name: "send-flood", title: "one user sends direct messages by calls, as fast as it goes" },
  "sends",
  perSecond(rates.maxSendsPerSecond),
  ({ chat }, _, options) =>
    chat.sendDirect({ recipientId: "nobody", content: text("x"), clientMessageId: uuidv7() }, options),
);

const streamSendFlood: Attack = {
  id: "D2",
  ci: true,
  name: "stream-send-flood",
  title: "one user sends direct messages over four streams, as fast as they are read",
  async run(target) {
    const tally = new Tally(target);
    await Promise.all(
      ["a", "b", "c", "d"].map(async (device) => {
        const [token] = await logIn(target.address, [attacker], device);
        const { chat } = target.connect(token);
        async function* requests() {
          yield { request: { case: "open" as const, value: { autoAck: true } } };
          while (!target.signal.aborted) {
            const value = { recipientId: "nobody", content: text("x"), clientMessageId: uuidv7() };
            yield { request: { case: "sendDirect" as const, value } };
          }
        }
        try {
          for await (const { events } of chat.stream(requests(), { signal: target.signal })) {
            for (const { event } of events) {
              if (event.case === "sent") tally.answered();
              if (event.case === "refusal") tally.refused();
            }
          }
        } catch (error) {
          if (!target.signal.aborted) throw error;
        }
      }),
    );
    return tally.report("sends", perSecond(rates.maxSendsPerSecond));
  },
};

const newDirectFlood = flood(
  { id: "D3", name: "new-direct-flood", title: "one user writes to somebody new each time" },
  "new conversations",
  // Those under way when the limit is reached are owed.
  { ...perMinute(rates.maxNewDirectsPerMinute), atOnce: rates.maxNewDirectsPerMinute + 200 },
  ({ chat }, n, options) => chat.sendDirect({ recipientId: `stranger-${n}`, content: text("x") }, options),
);

const newStreamFlood = flood(
  { id: "D4", name: "new-stream-flood", title: "one user opens streams again and again, on many devices" },
  "streams",
  perSecond(rates.maxNewStreamsPerSecond),
  async ({ chat }, _, options) => {
    for await (const _event of chat.listen({}, options)) return;
  },
);

const typingFlood = flood(
  { id: "D5", name: "typing-flood", title: "one user types and stops, as fast as it goes" },
  "words of typing",
  perSecond(rates.maxTypingPerSecond),
  ({ chat }, n, options) =>
    chat.setTyping({ target: { case: "recipientId", value: "bob" }, typing: n % 2 === 0 }, options),
);

const presenceFlood = flood(
  { id: "D6", name: "presence-flood", title: "one user asks for the presence of 500 users at a time" },
  "requests",
  { atOnce: (10 * rates.maxPresenceReadsPerSecond) / 500, perSecond: rates.maxPresenceReadsPerSecond / 500 },
  ({ presence }, n, options) =>
    presence.getPresence({ userIds: Array.from({ length: 500 }, (_, i) => `user-${n}-${i}`) }, options),
);

const groupFlood = flood(
  { id: "D7", name: "group-flood", title: "one user creates groups with 100 members each" },
  "groups",
  perMinute(rates.maxNewGroupsPerMinute),
  ({ groups }, n, options) =>
    groups.createGroup({ memberIds: Array.from({ length: 100 }, (_, i) => `user-${n % 7}-${i}`) }, options),
);

const loginsPerMinute = 600;

/** Makes an attack of logins from one address, which comes through a proxy. */
function loginFlood(
  about: Pick<Attack, "id" | "name" | "title">,
  args: readonly string[],
  credentialOf: (n: number) => { case: "devUserId" | "token"; value: string },
): Attack {
  return {
    ...about,
    args: ["--trusted-proxies", "127.0.0.1", ...args],
    async run(target) {
      const tally = new Tally(target);
      const { chat } = target.connect();
      const metadata = Metadata({ "x-forwarded-for": "192.0.2.66" });
      let n = 0;
      await inParallel(100, target, () => {
        const credential = credentialOf(n++) as { case: "devUserId"; value: string };
        return tally.count(chat.login({ credential }, { signal: target.signal, metadata }));
      });
      return tally.report("logins", perMinute(loginsPerMinute));
    },
  };
}

const goodLoginFlood = loginFlood(
  { id: "D8", name: "login-flood", title: "one address logs users in, as fast as it goes" },
  ["--max-logins-per-address-per-minute", String(loginsPerMinute)],
  (n) => ({ case: "devUserId", value: `user-${n % 50}` }),
);

const badLoginFlood = loginFlood(
  { id: "D9", name: "bad-login-flood", title: "one address tries tokens that nobody signed" },
  ["--max-failed-logins-per-address-per-minute", "600", "--jwt-secret", "x".repeat(32)],
  (n) => ({ case: "token", value: `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.${n}` }),
);

/** One user who asks for the same again and again, as fast as it goes. */
export const floodAttacks: readonly Attack[] = [
  sendFlood,
  streamSendFlood,
  newDirectFlood,
  newStreamFlood,
  typingFlood,
  presenceFlood,
  groupFlood,
  goodLoginFlood,
  badLoginFlood,
];
