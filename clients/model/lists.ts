import { changeOrAdd, withoutLeft, withSummary } from "./conversations.ts";
import { withGroup } from "./groups.ts";
import type { ServerCalls } from "./server-calls.ts";
import type { ChatStore } from "./store.ts";

const pageSize = 1_000;

/** Reads all conversations and groups of the user into the state. */
export async function loadLists(calls: ServerCalls, store: ChatStore): Promise<void> {
  const [summaries, groups] = await Promise.all([
    allPages(async (pageToken) => {
      const page = await calls.listConversations({ pageSize, pageToken });
      return { items: page.conversations, next: page.nextPageToken };
    }),
    allPages(async (pageToken) => {
      const page = await calls.listMyGroups({ pageSize, pageToken });
      return { items: page.groups, next: page.nextPageToken };
    }),
  ]);
  store.update((state) => {
    let next = state;
    for (const wire of summaries)
      next = changeOrAdd(next, wire.conversationId, (former) => withSummary(former, wire));
    for (const group of groups) next = changeOrAdd(withGroup(next, group), group.conversationId, withoutLeft);
    return next;
  });
}

/** Reads a group's settings and the user's role in it, and lists its conversation. */
export async function loadGroup(calls: ServerCalls, store: ChatStore, groupId: string): Promise<void> {
  const { group, me } = await calls.getGroup({ groupId });
  if (group === undefined) return;
  store.update((state) => {
    const next = withGroup(state, group, me?.role);
    return me === undefined ? next : changeOrAdd(next, group.conversationId, withoutLeft);
  });
}

async function allPages<T>(read: (pageToken: string) => Promise<{ items: T[]; next: string }>): Promise<T[]> {
  const all: T[] = [];
  let pageToken = "";
  do {
    const { items, next } = await read(pageToken);
    all.push(...items);
    pageToken = next;
  } while (pageToken !== "");
  return all;
}
