/** What the commands do. */

import { isUserId, userIdRule } from "../../../wire/user-id.ts";
import { openOf } from "../../model/state.ts";
import { roleName } from "../../model/words.ts";
import { JoinPolicy, type Member, type Target } from "../../typescript/index.ts";
import { type CommandName, helpLines, parseLine } from "../input/commands.ts";
import { nameOf } from "../state/shown.ts";
import { problemOf } from "./problems.ts";
import type { ChatSession } from "./session.ts";

/** The words of a command. */
interface Arguments {
  words: readonly string[];
  rest: string;
}

/** The most members that `/members` lists; as many as one question about presence may name. */
const maxListed = 500;

const actions: Record<CommandName, (session: ChatSession, args: Arguments) => void | Promise<void>> = {
  msg(session, { words: [user = ""], rest }) {
    const target = targetOf(session, user);
    session.open(target);
    say(session, rest);
  },
  open(session, { words: [name = ""] }) {
    session.open(targetOf(session, name));
  },
  async group(session, { words }) {
    const isOpen = words[0] === "--open";
    const [name = "", ...memberIds] = isOpen ? words.slice(1) : words;
    const bare = name.replace(/^#/, "");
    requireId(bare);
    const { group } = await session.client.groups.createGroup({
      groupId: bare,
      name: bare,
      memberIds,
      joinPolicy: isOpen ? JoinPolicy.OPEN : JoinPolicy.INVITE,
    });
    session.open({ groupId: group?.groupId ?? bare });
  },
  async invite(session, { words }) {
    await session.client.groups.addMembers({ groupId: openGroup(session), userIds: [...words] });
    session.hint(`${words.length === 1 ? `${words[0]} is a member` : "they are members"} now`);
  },
  async remove(session, { words }) {
    await session.client.groups.removeMembers({ groupId: openGroup(session), userIds: [...words] });
  },
  async join(session, { words: [name = ""] }) {
    const groupId = groupIdOf(session, name) ?? name.replace(/^#/, "");
    await session.client.groups.joinGroup({ groupId });
    session.open({ groupId });
  },
  async leave(session) {
    await session.client.groups.leaveGroup({ groupId: openGroup(session) });
  },
  async members(session) {
    const groupId = openGroup(session);
    const { members, nextPageToken } = await session.client.groups.listMembers({
      groupId,
      pageSize: maxListed,
    });
    const userIds = members.map(({ userId }) => userId);
    const { presences } = await session.client.presence.getPresence({ userIds });
    const online = new Set(presences.filter((each) => each.online).map(({ userId }) => userId));
    const lines = members.map((member) => memberLine(member, online.has(member.userId)));
    const more = nextPageToken === "" ? [] : ["… and more"];
    session.show([...lines, ...more].join("\n"));
  },
  async history(session, { words: [word = "50"] }) {
    const count = Number(word);
    if (!Number.isInteger(count) || count < 1 || count > 1_000)
      throw new Mistake("/history takes a number from 1 to 1000");
    if (openOf(session.store.get()) === undefined) throw new Mistake(nothingOpen);
    const loaded = await session.older(count);
    session.hint(loaded === 0 ? "there is nothing older" : `${loaded} older loaded, PgUp shows them`);
  },
  retry(session) {
    const { id = "", outgoing = [] } = openOf(session.store.get()) ?? {};
    const failed = outgoing.filter(({ state }) => state === "failed");
    for (const each of failed) session.outbox.resend(id, each);
    if (failed.length === 0) session.hint("nothing has failed here");
  },
  help(session) {
    session.show(helpLines().join("\n"));
  },
  quit(session) {
    session.quit();
  },
};

const nothingOpen = "no conversation is open; Tab opens one, /msg USER TEXT begins one";

/** What the user has to be told, in their own words' stead. */
class Mistake extends Error {}

/** Does what a typed line asks for. Never rejects. */
export async function submit(session: ChatSession, line: string): Promise<void> {
  const parsed = parseLine(line);
  try {
    switch (parsed.kind) {
      case "empty":
        return;
      case "text":
        say(session, parsed.text);
        return;
      case "command":
        await actions[parsed.name](session, parsed);
        return;
      case "mistake":
        throw new Mistake(parsed.message);
    }
  } catch (error) {
    session.show(error instanceof Mistake ? error.message : problemOf(error), "error");
  }
}

/** Sends a text to the open conversation. */
function say(session: ChatSession, text: string): void {
  const open = openOf(session.store.get());
  if (open === undefined) throw new Mistake(nothingOpen);
  session.outbox.send(open.id, text);
}

/** Finds whom a name means: a group when it begins with `#` or only a group has it, else a user. */
function targetOf(session: ChatSession, name: string): Target {
  const groupId = groupIdOf(session, name);
  if (groupId !== undefined) return { groupId };
  if (name.startsWith("#")) {
    throw new Mistake(`you are not in ${name}; /join ${name.slice(1)} joins it, if it is open`);
  }
  requireId(name);
  if (name === session.store.get().userId) throw new Mistake("that is you");
  return { recipientId: name };
}

/** Returns the id of a group the user is in, by its name or id, with or without `#`. */
function groupIdOf({ store }: ChatSession, name: string): string | undefined {
  const state = store.get();
  const all = [...state.conversations.values()];
  if (all.some(({ target }) => "recipientId" in target && target.recipientId === name)) return undefined;
  const bare = name.replace(/^#/, "");
  const found = all.find(
    (each) =>
      "groupId" in each.target && (nameOf(state, each) === `#${bare}` || each.target.groupId === bare),
  );
  return found !== undefined && "groupId" in found.target ? found.target.groupId : undefined;
}

function openGroup({ store }: ChatSession): string {
  const open = openOf(store.get());
  if (open === undefined) throw new Mistake(nothingOpen);
  if (!("groupId" in open.target)) throw new Mistake("this is no group; /group NAME creates one");
  return open.target.groupId;
}

function requireId(id: string): void {
  if (!isUserId(id)) throw new Mistake(`${id || "nothing"} cannot be a name: it must be ${userIdRule}`);
}

function memberLine({ userId, role }: Member, online: boolean): string {
  return `${online ? "●" : "○"} ${userId} (${roleName(role)})`;
}
