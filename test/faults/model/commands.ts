/** What may happen in a run of the model test: commands, and how they are drawn. */

import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import {
  type ChatModel,
  counts,
  deviceName,
  groupName,
  userName,
  type Where,
  whereName,
} from "./chat-model.ts";
import { act, compareStream, expectPages, learn, openStream, pairUp, takeIn } from "./compare.ts";
import { conversationIdOf } from "./model.ts";
import { type Answer, type Change, expectSame } from "./operations.ts";
import type { System } from "./system.ts";

/** Something that happens to both sides. */
export type ChatCommand = fc.AsyncCommand<ChatModel, System>;

/** A send by numbers: who, and to whom. */
interface Sending {
  by: number;
  to: Where;
}

/** Makes a command. `check` tells whether it makes sense now; by default it always does. */
function command(
  text: string,
  run: (model: ChatModel, real: System) => Promise<void>,
  check: (model: Readonly<ChatModel>) => boolean = () => true,
): ChatCommand {
  return { check, run, toString: () => text };
}

const user = fc.nat(counts.users - 1);
const group = fc.nat(counts.groups - 1);
/** Mostly the first, so that much happens on one. */
const device = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.nat(counts.devices - 1) },
);
const further = fc.integer({ min: 1, max: counts.users - 1 });
const where: fc.Arbitrary<Where> = fc.oneof(fc.record({ group }), fc.record({ further }));
const sending: fc.Arbitrary<Sending> = fc.record({ by: user, to: where });
const users = fc.uniqueArray(user, { minLength: 1, maxLength: 3 });

const sendText = ({ by, to }: Sending) => `${userName(by)} to ${whereName(by, to)}`;
const make = (model: ChatModel, { by, to }: Sending, fill = 0) =>
  model.newSend(model.user(by), model.target(by, to), fill);

/** Whether the group of a send, if it goes to one, was ever made. */
const leadsSomewhere = (model: Readonly<ChatModel>, { to }: Sending) =>
  !("group" in to) || model.log.hasGroup(model.group(to.group));

const create = fc
  .record({
    by: user,
    group,
    members: users,
    open: fc.boolean(),
    history: fc.boolean(),
    again: fc.integer({ min: 0, max: 7 }).map((n) => n === 7),
  })
  .map(({ by, group, members, open, history, again }) => {
    const others = members.filter((member) => member !== by);
    const kind = `${open ? "open" : "by invitation"}${history ? ", old history shown" : ""}`;
    return command(
      `${userName(by)} creates ${groupName(group)} with ${others.map(userName)} (${kind})`,
      (model, real) => {
        const memberIds = others.map((member) => model.user(member));
        const groupId = model.group(group);
        return act(model, real, { do: "create", by: model.user(by), groupId, memberIds, open, history });
      },
      (model) => again || !model.log.hasGroup(model.group(group)),
    );
  });

interface ChangeOf {
  kind: Exclude<Change["do"], "create">;
  by: number;
  group: number;
  whom: number[];
}

const changeOf: fc.Arbitrary<ChangeOf> = fc.record({
  kind: fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom("join" as const, "leave", "add", "remove") },
    { weight: 1, arbitrary: fc.constant("disband" as const) },
  ),
  by: user,
  group,
  whom: users,
});

function toChange(model: ChatModel, { kind, by, group, whom }: ChangeOf): Change {
  const common = { by: model.user(by), groupId: model.group(group) };
  if (kind === "add" || kind === "remove")
    return { do: kind, ...common, userIds: whom.map((n) => model.user(n)) };
  return { do: kind, ...common };
}

function changeText({ kind, by, group, whom }: ChangeOf): string {
  const verb = { join: "joins", leave: "leaves", add: "adds", remove: "removes", disband: "disbands" }[kind];
  const named =
    kind === "add" || kind === "remove" ? ` ${whom.map(userName)} ${kind === "add" ? "to" : "from"}` : "";
  return `${userName(by)} ${verb}${named} ${groupName(group)}`;
}

const change = changeOf.map((of) =>
  command(
    changeText(of),
    (model, real) => act(model, real, toChange(model, of)),
    (model) => model.log.hasGroup(model.group(of.group)),
  ),
);

const send = fc.record({ sending, overStream: fc.boolean() }).map(({ sending, overStream }) =>
  command(
    `send from ${sendText(sending)}${overStream ? " over the stream" : ""}`,
    (model, real) => act(model, real, make(model, sending), overStream),
    (model) => leadsSomewhere(model, sending),
  ),
);

const retry = fc
  .record({
    back: fc.nat(5),
    times: fc.integer({ min: 1, max: 3 }),
    other: fc.option(fc.constantFrom("body" as const, "target"), { nil: undefined, freq: 3 }),
  })
  .map(({ back, times, other }) =>
    command(
      `retry of the ${back === 0 ? "last send" : `${back + 1}th last send`}${
        other === undefined ? `, ${times} at a time` : `, with another ${other}`
      }`,
      async (model, real) => {
        const { attempts } = model;
        const first = attempts[Math.max(0, attempts.length - 1 - back)];
        if (first === undefined) return;
        if (other === "body") return act(model, real, { ...first, body: `${first.body}!` });
        if (other === "target") {
          const recipientId = model.userIds.find(
            (id) => id !== first.by && !("recipientId" in first.to && first.to.recipientId === id),
          );
          return act(model, real, { ...first, to: { recipientId: recipientId as string } });
        }
        const answers = await Promise.all(
          Array.from({ length: times }, (_, i) => real.perform(first, i === 0)),
        );
        takeIn(
          model,
          answers.map((answer) => ({ send: first, answer })),
        );
      },
      ({ attempts }) => attempts.length > 0,
    ),
  );

const together = fc.array(sending, { minLength: 2, maxLength: 5 }).map((sendings) =>
  command(`at the same time: ${sendings.map(sendText).join(", ")}`, async (model, real) => {
    const sends = sendings.map((sending) => make(model, sending));
    const answers = await Promise.all(sends.map((send, i) => real.perform(send, i % 2 === 0)));
    takeIn(model, pairUp(sends, answers));
  }),
);

const race = fc
  .record({ of: changeOf, by: fc.array(user, { minLength: 1, maxLength: 4 }) })
  .map(({ of, by }) =>
    command(
      `${changeText(of)} while ${by.map(userName)} send to it`,
      async (model, real) => {
        const change = toChange(model, of);
        const sends = by.map((n) => make(model, { by: n, to: { group: of.group } }));
        const [answer, ...answers] = await Promise.all([
          real.perform(change),
          ...sends.map((send, i) => real.perform(send, i % 2 === 0)),
        ]);
        takeIn(model, pairUp(sends, answers), { change, answer });
      },
      (model) => model.log.hasGroup(model.group(of.group)),
    ),
  );

const open = fc
  .record({
    user,
    device,
    from: fc.constantFrom("its own cursor" as const, "the last event received", "an earlier event"),
    back: fc.integer({ min: 1, max: 5 }),
    low: fc.boolean(),
    meanwhile: fc.array(sending, { maxLength: 3 }),
  })
  .map(({ user, device: n, from, back, low, meanwhile }) => {
    // Whether events sent meanwhile count is a matter of luck, so only one of the two.
    const replayLimit = low && meanwhile.length === 0 ? 2 : 1_000;
    return command(
      `${deviceName(user, n)} opens from ${from}${from === "an earlier event" ? ` (${back} back)` : ""}${
        replayLimit < 1_000 ? `, replays up to ${replayLimit}` : ""
      }${meanwhile.length > 0 ? ` while ${meanwhile.map(sendText).join(", ")}` : ""}`,
      async (model, real) => {
        const device = model.device(user, n);
        const readers = real.readersOf(device.userId, device.deviceId);
        learn(model, readers);
        const received = readers.flatMap(({ events }) => events);
        const skipped = from === "the last event received" ? 0 : back;
        const resumeFrom = from === "its own cursor" ? undefined : received.at(-1 - skipped)?.position;
        const sends = meanwhile.map((sending) => make(model, sending));
        await openStream(model, real, device, { resumeFrom, replayLimit }, sends);
      },
    );
  });

const close = fc.record({ user, device, politely: fc.boolean() }).map(({ user, device: n, politely }) =>
  command(
    `${deviceName(user, n)} ${politely ? "ends" : "breaks off"} its stream`,
    async (model, real) => {
      const device = model.device(user, n);
      const { userId, deviceId, starts } = device;
      const reader = real.lastReader(userId, deviceId);
      device.open = false;
      if (!politely) return reader?.cancel();
      const how = await reader?.finish();
      expectSame("I14", `${device.name}: how its stream ended`, how, undefined);
      if (reader === undefined) return;
      learn(model, [reader]);
      const last = starts.length - 1;
      compareStream(device, last, reader, device.eventsOf(last, model.log), true);
    },
    (model) => model.device(user, n).open,
  ),
);

const stopReading = fc.record({ user, device, stop: fc.boolean() }).map(({ user, device: n, stop }) =>
  command(
    `${deviceName(user, n)} ${stop ? "stops reading" : "reads on"}`,
    async (model, real) => {
      const { userId, deviceId } = model.device(user, n);
      const reader = real.lastReader(userId, deviceId);
      if (stop) reader?.stopReading();
      else reader?.goOn();
    },
    (model) => model.device(user, n).open,
  ),
);

/** More than waits in memory for a reader that does not read, and in its connection. */
const flood = sending.map((sending) =>
  command(
    `16 messages of 16 KB from ${sendText(sending)}`,
    async (model, real) => {
      const sends = Array.from({ length: 16 }, () => make(model, sending, 16_000));
      const answers = await Promise.all(sends.map((send) => real.perform(send)));
      takeIn(model, pairUp(sends, answers));
    },
    (model) => leadsSomewhere(model, sending),
  ),
);

const acknowledge = fc.record({ user, device, back: fc.nat(3) }).map(({ user, device: n, back }) =>
  command(
    `${deviceName(user, n)} acknowledges ${back === 0 ? "its last event" : `all but ${back} events`}`,
    async (model, real) => {
      const device = model.device(user, n);
      const { userId, deviceId } = device;
      const readers = real.readersOf(userId, deviceId);
      learn(model, readers);
      const position = readers.flatMap(({ events }) => events).at(-1 - back)?.position;
      if (position === undefined) return;
      device.acknowledged(position, await real.acknowledge(userId, deviceId, position));
    },
    (model) => model.device(user, n).starts.length > 0,
  ),
);

const markRead = fc
  .record({ by: user, to: where, back: fc.integer({ min: -1, max: 3 }) })
  .map(({ by, to, back }) =>
    command(
      `${userName(by)} reads ${whereName(by, to)} up to ${back < 0 ? "more than there is" : `${back} before the last`}`,
      (model, real) => {
        const conversationId = conversationIdOf(model.user(by), model.target(by, to));
        const upToSeq = Math.max(0, model.log.lastSeq(conversationId) - back);
        return act(model, real, { do: "mark-read", by: model.user(by), conversationId, upToSeq });
      },
      (model) => leadsSomewhere(model, { by, to }),
    ),
  );

const history = fc
  .record({ by: user, of: where, pageSize: fc.integer({ min: 1, max: 7 }), backwards: fc.boolean() })
  .map(({ by, of, pageSize, backwards }) =>
    command(
      `${userName(by)} lists ${whereName(by, of)}, ${pageSize} a page${backwards ? ", backwards" : ""}`,
      (model, real) =>
        expectPages(model, real, { by: model.user(by), of: model.target(by, of), pageSize, backwards }),
      (model) => leadsSomewhere(model, { by, to: of }),
    ),
  );

const crash = fc
  .record({ afterMs: fc.nat(8), sendings: fc.array(sending, { maxLength: 5 }) })
  .map(({ afterMs, sendings }) =>
    command(
      `kill -9${sendings.length > 0 ? ` ${afterMs} ms into ${sendings.map(sendText).join(", ")}; retries` : ""}`,
      async (model, real) => {
        const sends = sendings.map((sending) => make(model, sending));
        const underWay = sends.map((send) => real.perform(send).catch(() => undefined));
        await delay(afterMs);
        await real.crash(underWay);
        model.crashed();
        const before = await Promise.all(underWay);
        const after = await Promise.all(sends.map((send) => real.perform(send)));
        takeIn(
          model,
          sends.map((send, i) => ({ send, answer: before[i] ?? asFirst(after[i] as Answer) })),
        );
        // What was answered before was no lie.
        takeIn(
          model,
          sends.flatMap((send, i) => (before[i] === undefined ? [] : [{ send, answer: after[i] as Answer }])),
        );
      },
      ({ crashes, maxCrashes }) => crashes < maxCrashes,
    ),
  );

/** Whether a send took effect before the crash or after does not matter, only that it did so once. */
function asFirst(answer: Answer): Answer {
  return "sent" in answer ? { sent: { ...answer.sent, duplicate: false } } : answer;
}

/** How often each is drawn, against the others. */
const weighted: readonly [weight: number, commands: fc.Arbitrary<ChatCommand>][] = [
  [25, create],
  [45, change],
  [50, send],
  [25, retry],
  [25, together],
  [40, race],
  [60, open],
  [25, close],
  [25, stopReading],
  [8, flood],
  [35, acknowledge],
  [25, markRead],
  [15, history],
];

/** Draws a command that makes a group, to begin with. */
export const firstCommand: fc.Arbitrary<ChatCommand> = create;

/** Draws lists of at most `maxCommands` commands. */
export function chatCommands(maxCommands: number, crashWeight: number): fc.Arbitrary<Iterable<ChatCommand>> {
  const drawn = fc.oneof(...weighted.map(([weight, arbitrary]) => ({ weight, arbitrary })), {
    weight: crashWeight,
    arbitrary: crash,
  });
  // Unbiased: half of the lists would be too short to show anything.
  return fc.noBias(fc.commands([drawn], { maxCommands, size: "max" }));
}
