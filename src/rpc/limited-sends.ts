import type { Chat } from "../chat/chat.ts";
import type { Sends, Sent } from "../chat/sends.ts";
import type { Caller } from "../model/caller.ts";

const limit = "maxNewDirectsPerMinute";

/** Makes sends that keep to the limits of what users send. */
export function limitSends(chat: Chat): Sends {
  const sends = limitNewDirects(chat);
  return chat.limits.maxStoredBytesPerUser === 0 ? sends : limitStoredBytes(chat, sends);
}

/**
 * Makes sends that count the bytes users store. Who has stored as many as they
 * may still gets the answers to what they repeat.
 *
 * @param sends where the messages of all others go
 */
function limitStoredBytes({ storedBytes, sends: unlimited }: Chat, sends: Sends): Sends {
  const counted = (sending: Promise<Sent>, userId: string) =>
    noted(sending, ({ appended, bytes }) => {
      if (!appended.duplicate) storedBytes.add(userId, bytes);
    });

  return {
    sendDirect(request, caller) {
      const refusal = storedBytes.refusalOf(caller.userId);
      if (refusal !== undefined) return unlimited.sendDirect(request, caller, refusal);
      return counted(sends.sendDirect(request, caller), caller.userId);
    },
    sendGroup(request, caller) {
      const refusal = storedBytes.refusalOf(caller.userId);
      if (refusal !== undefined) return unlimited.sendGroup(request, caller, refusal);
      return counted(sends.sendGroup(request, caller), caller.userId);
    },
  };
}

/**
 * Makes sends that count the direct conversations a user begins. That one was
 * begun is known afterwards, by its first seq. So only a user who has begun as
 * many as they may costs a look into the store: what they send goes on as long
 * as its conversation is there, and each after the other, as they sent it.
 */
function limitNewDirects({ sends, rates, conversations }: Chat): Sends {
  /** The last send of each user that had to be looked at. */
  const looking = new Map<string, Promise<unknown>>();

  const counted = (sending: Promise<Sent>, userId: string) =>
    noted(sending, ({ appended }) => {
      if (appended.seq === 1 && !appended.duplicate) rates.owe(limit, userId);
    });

  async function lookAndSend(
    request: Parameters<Sends["sendDirect"]>[0],
    caller: Caller,
    before: Promise<unknown> | undefined,
  ): Promise<Sent> {
    await before?.catch(() => {});
    if (!(await conversations.hasDirect(caller.userId, request.recipientId)))
      rates.check(limit, caller.userId);
    return counted(sends.sendDirect(request, caller), caller.userId);
  }

  return {
    sendGroup: (request, caller) => sends.sendGroup(request, caller),
    sendDirect(request, caller) {
      const { userId } = caller;
      const before = looking.get(userId);
      if (before === undefined && rates.waitMs(limit, userId) === 0)
        return counted(sends.sendDirect(request, caller), userId);
      const sending = lookAndSend(request, caller, before);
      looking.set(userId, sending);
      const forget = () => {
        if (looking.get(userId) === sending) looking.delete(userId);
      };
      sending.then(forget, forget);
      return sending;
    },
  };
}

/** Has what came of a send noted before its sender is answered, who waits no longer for it. */
function noted(sending: Promise<Sent>, note: (sent: Sent) => void): Promise<Sent> {
  // A send that fails is told to whoever made it.
  sending.then(note, () => {});
  return sending;
}
