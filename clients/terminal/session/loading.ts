/** Reads from the server what events do not tell. */

import { isAbsent } from "../../typescript/errors.ts";
import type { ParlanceClient } from "../../typescript/index.ts";
import { conversationIdOf, withConversation, withGroup, withSummary } from "../state/conversations.ts";
import { messageOf } from "../state/entries.ts";
import { type ChatState, changeConversation, type Timeline, without } from "../state/model.ts";
import type { Store } from "../state/store.ts";
import { addPage, firstSeq, loadingTimeline } from "../state/timeline.ts";

const pageSize = 50;
/** The most conversations and groups that are listed: twenty pages. */
const maxPages = 20;
/** Above every seq. */
const endOfLog = 2n ** 63n - 1n;

/** The services that are read from. */
export type Services = Pick<ParlanceClient, "conversations" | "groups" | "messages">;

/** Reads the user's conversations and groups into the state. What is loaded of them is forgotten. */
export async function loadConversations(services: Services, store: Store): Promise<void> {
  const summaries = await allPages(async (pageToken) => {
    const page = await services.conversations.listConversations({ pageSize, pageToken });
    return { items: page.conversations, next: page.nextPageToken };
  });
  const groups = await allPages(async (pageToken) => {
    const page = await services.groups.listMyGroups({ pageSize, pageToken });
    return { items: page.groups, next: page.nextPageToken };
  });
  store.update((state) => {
    const former = [...state.conversations.values()].map((each) =>
      without(without(each, "timeline"), "anchor"),
    );
    let next: ChatState = { ...state, conversations: new Map(former.map((each) => [each.id, each])) };
    for (const wire of summaries) {
      next = withConversation(next, wire.conversationId);
      next = changeConversation(next, wire.conversationId, (each) =>
        withSummary(without(each, "left"), wire),
      );
    }
    for (const group of groups) {
      next = withConversation(next, group.conversationId);
      next = changeConversation(next, group.conversationId, (each) =>
        withGroup(without(each, "left"), group),
      );
    }
    return next;
  });
}

/** Reads a group's name and size. */
export async function loadGroup(services: Services, store: Store, groupId: string): Promise<void> {
  const { group } = await services.groups.getGroup({ groupId });
  if (group === undefined) return;
  const id = conversationIdOf({ groupId }, store.state.userId);
  store.update((state) => changeConversation(state, id, (former) => withGroup(former, group)));
}

/**
 * Loads older messages of a conversation, or its newest when none is loaded.
 * Does nothing while some are being loaded, and when there are none.
 *
 * @returns how many came
 */
export async function loadOlder(
  services: Services,
  store: Store,
  id: string,
  count = pageSize,
): Promise<number> {
  const { timeline, notices = [] } = store.state.conversations.get(id) ?? {};
  if (timeline !== undefined && timeline.older !== "more" && timeline.older !== "failed") return 0;
  const begun = timeline ? { ...timeline, older: "loading" as const } : loadingTimeline(notices);
  const change = (next: (timeline: Timeline) => Timeline): void =>
    store.update((state) =>
      changeConversation(state, id, (former) =>
        former.timeline?.id === begun.id ? { ...former, timeline: next(former.timeline) } : former,
      ),
    );
  store.update((state) =>
    changeConversation(state, id, (former) => ({ ...former, notices: [], timeline: begun })),
  );
  let loaded = 0;
  try {
    while (loaded < count) {
      const now = store.state.conversations.get(id)?.timeline;
      const before = (loaded > 0 || timeline) && now ? firstSeq(now) : undefined;
      const { messages, nextPageToken } = await services.messages.listMessages({
        target: { case: "conversationId", value: id },
        beforeSeq: before === undefined ? endOfLog : BigInt(before),
        pageSize: Math.min(pageSize, count - loaded),
      });
      loaded += messages.length;
      const isLast = nextPageToken === "" || messages.length === 0;
      const older = isLast ? "none" : loaded < count ? "loading" : "more";
      change((each) => addPage(each, messages.map(messageOf), older));
      if (isLast) break;
    }
  } catch (error) {
    change((each) => ({ ...each, older: isAbsent(error) ? "none" : "failed" }));
  }
  return loaded;
}

async function allPages<T>(read: (pageToken: string) => Promise<{ items: T[]; next: string }>): Promise<T[]> {
  const all: T[] = [];
  let pageToken = "";
  for (let pages = 0; pages < maxPages; pages++) {
    const { items, next } = await read(pageToken);
    all.push(...items);
    if (next === "") break;
    pageToken = next;
  }
  return all;
}
