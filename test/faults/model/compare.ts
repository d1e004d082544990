/** How what the service did is taken into the model, and compared with it in the end. */

import type { ChatModel } from "./chat-model.ts";
import type { DeviceModel } from "./device-model.ts";
import { conversationIdOf, type ModelEvent } from "./model.ts";
import {
  type Answer,
  brief,
  type Change,
  expectSame,
  Mismatch,
  type Operation,
  type Reading,
  type Send,
} from "./operations.ts";
import type { Reader } from "./reader.ts";
import type { System } from "./system.ts";

/** Has both sides carry out an operation; both have to answer the same. */
export async function act(
  model: ChatModel,
  real: System,
  operation: Operation,
  overStream = false,
): Promise<void> {
  const answer = await real.perform(operation, overStream);
  expectAnswer(model, operation, answer);
}

/** A send and what the service answered. */
export interface Answered {
  send: Send;
  answer: Answer;
}

/**
 * Takes in sends that were under way at the same time, to one group if there
 * was a change of it as well. The answers say in which order they took effect;
 * in that order the model has to answer the same.
 */
export function takeIn(
  model: ChatModel,
  answered: readonly Answered[],
  changed?: { change: Change; answer: Answer },
): void {
  const refused = answered.filter(({ answer }) => "refused" in answer);
  const early = refused.map(({ send }) => model.log.refusalOf(send));
  let change = changed;
  const takeChange = () => {
    if (change !== undefined) expectAnswer(model, change.change, change.answer);
    change = undefined;
  };
  for (const { send, answer } of answered.filter(isStored).sort(byEffect)) {
    // A seq that no send got is the change's.
    if (answer.sent.seq > model.log.lastSeq(answer.sent.conversationId) + 1) takeChange();
    expectAnswer(model, send, answer);
  }
  takeChange();
  for (const [i, { send, answer }] of refused.entries()) {
    const { refused: reason } = answer as Answer & { refused: string };
    const allowed = [early[i], model.log.refusalOf(send)];
    if (!allowed.includes(reason))
      throw new Mismatch("I14", `${brief(send)} was refused with ${reason}, expected ${allowed}`);
  }
}

/** Notes where the events are that streams received. */
export function learn(model: ChatModel, readers: Iterable<Reader>): void {
  for (const { events } of readers)
    for (const { conversationId, seq, position } of events) model.log.learn(conversationId, seq, position);
}

/** Waits until everything has arrived everywhere, and compares everything. @throws Mismatch */
export async function compareAll(model: ChatModel, real: System): Promise<void> {
  await fence(model, real);
  learn(model, real.readers());
  for (const device of model.devices) {
    for (const [n, reader] of real.readersOf(device.userId, device.deviceId).entries()) {
      // A stream that never opened got nothing.
      if (device.starts[n] === undefined) continue;
      const isOpen = device.open && n === device.starts.length - 1;
      compareStream(device, n, reader, device.eventsOf(n, model.log), isOpen);
    }
  }
  comparePositions(model.log.log);
  await Promise.all(model.userIds.map((userId) => compareLists(model, real, userId)));
}

/** Opens the last stream of every device again, and sends everybody a last message, after which nothing comes. */
async function fence(model: ChatModel, real: System): Promise<void> {
  for (const reader of real.readers()) reader.goOn();
  const used = model.devices.filter(({ starts }) => starts.length > 0);
  await Promise.all(
    used.map(async (device) => {
      if (device.open) return;
      const readers = real.readersOf(device.userId, device.deviceId);
      learn(model, readers);
      const resumeFrom = readers.flatMap(({ events }) => events).at(-1)?.position;
      await openStream(model, real, device, { resumeFrom, replayLimit: 1_000 }, []);
    }),
  );
  const sends = model.userIds.map((recipientId) => model.newSend(model.fenceId, { recipientId }));
  const answers = await Promise.all(sends.map((send) => real.perform(send)));
  takeIn(model, pairUp(sends, answers));
  await Promise.all(
    used.map(async ({ userId, deviceId }) => {
      const conversationId = conversationIdOf(userId, { recipientId: model.fenceId });
      await real.lastReader(userId, deviceId)?.until(conversationId, 1);
    }),
  );
}

/** Puts sends and their answers together. */
export function pairUp(sends: readonly Send[], answers: readonly Answer[]): Answered[] {
  return sends.map((send, i) => ({ send, answer: answers[i] as Answer }));
}

/** Opens a stream of a device while some send. */
export async function openStream(
  model: ChatModel,
  real: System,
  device: DeviceModel,
  options: { resumeFrom: number | undefined; replayLimit: number },
  meanwhile: readonly Send[],
): Promise<void> {
  const { userId, deviceId } = device;
  const previous = device.open ? real.lastReader(userId, deviceId) : undefined;
  previous?.goOn();
  const before = { length: model.log.log.length, unread: model.log.firstUnread(userId) };
  const reader = await real.stream(userId, deviceId);
  const [opening, ...answers] = await Promise.all([
    reader.open(options, real.epoch),
    ...meanwhile.map((send) => real.perform(send)),
  ]);
  takeIn(model, pairUp(meanwhile, answers));
  if (previous !== undefined) {
    await previous.finish();
    expectSame("I14", `${device.name}: the stream before was closed`, previous.closed, "REPLACED");
  }
  device.opened(opening, options, model.log, before);
}

/** Compares what a stream received with what it had to get: all of it while it is open, else a beginning. */
export function compareStream(
  device: DeviceModel,
  n: number,
  { events }: Pick<Reader, "events">,
  due: readonly ModelEvent[],
  whole: boolean,
): void {
  const what = `stream ${n + 1} of ${device.name}`;
  for (const [i, event] of events.entries()) {
    const expected = due[i];
    const { conversationId, seq } = event;
    if (expected?.conversationId === conversationId && expected.seq === seq) {
      const { send, messageId } = expected;
      const got = { senderId: event.senderId, body: event.body, messageId: event.messageId };
      expectSame("I4", `${what}: seq ${seq} of ${conversationId}`, got, {
        senderId: send?.by,
        body: send?.body,
        messageId,
      });
      continue;
    }
    const text = `${what}: its event ${i + 1} is seq ${seq} of ${conversationId}, expected ${
      expected === undefined ? "no more" : `seq ${expected.seq} of ${expected.conversationId}`
    }`;
    const isDue = due.some((other) => other.conversationId === conversationId && other.seq === seq);
    if (!isDue) throw new Mismatch("I9", `${text}; it is not theirs, or was before the start`);
    const isRepeat = events
      .slice(0, i)
      .some((other) => other.conversationId === conversationId && other.seq === seq);
    throw new Mismatch(isRepeat ? "I5" : "I6", text);
  }
  if (whole && events.length < due.length) {
    const { seq, conversationId } = due[events.length] as ModelEvent;
    throw new Mismatch(
      "I12",
      `${what} did not get seq ${seq} of ${conversationId}, after ${events.length} events`,
    );
  }
}

/** Compares a conversation's history, read page by page. */
export async function expectPages(model: ChatModel, real: System, reading: Reading): Promise<void> {
  const { by, of } = reading;
  const listed = await real.messagesOf(reading);
  expectSame("I1", `what ${by} may read of ${brief(of)}`, listed, model.log.messagesOf(by, of));
}

function comparePositions(log: readonly ModelEvent[]): void {
  let last = 0;
  for (const { conversationId, seq, position } of log) {
    if (position === undefined) continue;
    if (position <= last)
      throw new Mismatch("I3", `seq ${seq} of ${conversationId} has position ${position}, after ${last}`);
    last = position;
  }
}

async function compareLists(model: ChatModel, real: System, userId: string): Promise<void> {
  const { log } = model;
  const [conversations, groups] = await Promise.all([real.conversationsOf(userId), real.groupsOf(userId)]);
  expectSame("I4", `${userId}'s conversations`, conversations, log.conversationsOf(userId));
  expectSame("I4", `${userId}'s groups`, groups, log.groupsOf(userId));
  const groupIds = model.groupIds.filter((groupId) => log.hasGroup(groupId));
  const targets = [
    ...groupIds.map((groupId) => ({ groupId })),
    ...model.userIds.filter((id) => id !== userId).map((recipientId) => ({ recipientId })),
  ];
  await Promise.all([
    ...targets.map((of) => expectPages(model, real, { by: userId, of, pageSize: 1_000, backwards: false })),
    ...groupIds.map(async (groupId) => {
      const listed = await real.membersOf(userId, groupId);
      expectSame("I4", `members of ${groupId} for ${userId}`, listed, log.membersOf(userId, groupId));
    }),
  ]);
}

function expectAnswer(model: ChatModel, operation: Operation, answer: Answer): void {
  const rule = operation.do === "send" ? "I8" : "I14";
  expectSame(rule, `answer to ${brief(operation)}`, answer, model.log.perform(operation, answer));
}

type Stored = Answered & { answer: Extract<Answer, { sent: unknown }> };

function isStored(answered: Answered): answered is Stored {
  return "sent" in answered.answer;
}

/** In the order in which sends took effect; a repeat comes after what it repeats. */
function byEffect({ answer: { sent: a } }: Stored, { answer: { sent: b } }: Stored): number {
  return a.position - b.position || Number(a.duplicate) - Number(b.duplicate);
}
