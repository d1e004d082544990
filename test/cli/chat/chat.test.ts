import { isDeepStrictEqual } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { directConversationId } from "../../../wire/ids.ts";
import { eventually } from "../../support/eventually.ts";
import { startTestServer, type TestServer, text } from "../../support/server.ts";
import type { Terminal } from "../../support/terminal/terminal.ts";
import { appendUnknown } from "../../support/unknown-events.ts";
import { type Chats, chatsWith, keys } from "./chats.ts";

let server: TestServer;
let chats: Chats;

beforeEach(async () => {
  server = await startTestServer({ presenceVisibility: "shared" });
  chats = chatsWith(() => server.address);
});

afterEach(async () => {
  await chats.close();
  await server.close();
});

/** The line of the screen that holds a text. */
function lineWith(terminal: Terminal, part: string): string {
  return terminal.screen.lines.find((line) => line.includes(part)) ?? "";
}

describe("two users in two terminals", () => {
  test("chat: unread counts, presence, typing, sent and read", async () => {
    const [alice, bob] = await Promise.all([chats.open("alice"), chats.open("bob")]);
    alice.type(`/msg bob Hello Bob 👋 你好${keys.enter}`);
    await alice.until(/✓ {2}alice: Hello Bob 👋 你好/);
    await bob.until("1 unread, Tab");
    await bob.until(() => /alice +1 │/.test(bob.screen.lines[1] ?? ""), "the list counts one unread message");
    alice.type(`and one more${keys.enter}`);
    await bob.until("2 unread, Tab");

    bob.type(keys.tab);
    await bob.until(/alice: and one more/);
    await bob.until((screen) => !screen.text.includes("unread"), "nothing is unread");
    await bob.until("─── new ─");
    await alice.until(/✓✓ alice: and one more/);
    await bob.until("alice  online");

    bob.type("I ");
    await alice.until("bob is typing…");
    bob.type(`am here${keys.enter}`);
    await alice.until(/bob: I am here/);
    await alice.until((screen) => !screen.text.includes("typing"), "nobody types");

    bob.type(keys.ctrlC);
    expect(await bob.ended).toEqual({ code: 0, restored: true });
    await alice.until("bob  offline");
  });

  test("make a group, invite, remove, leave and join", async () => {
    const [alice, bob, carol] = await Promise.all(["alice", "bob", "carol"].map((user) => chats.open(user)));
    if (!alice || !bob || !carol) throw new Error("not three");
    alice.type(`/group --open team bob${keys.enter}`);
    await alice.until("#team  2 members");
    await alice.until("alice created the group");
    await alice.until("alice added bob");
    alice.type(`welcome${keys.enter}`);
    await bob.until("#team");
    bob.type(`/open #team${keys.enter}`);
    await bob.until("alice: welcome");

    alice.type(`/invite carol${keys.enter}`);
    await bob.until("alice added carol");
    await bob.until("#team  3 members");
    await carol.until("#team");
    carol.type(`${keys.altDown}hello all${keys.enter}`);
    await alice.until("carol: hello all");

    alice.type(`/members${keys.enter}`);
    await alice.until("● alice (owner)");
    await alice.until("● carol (member)");
    alice.type(`/remove carol${keys.enter}`);
    await bob.until("alice removed carol");
    await carol.until("you are no member");
    carol.type(`still here?${keys.enter}`);
    await carol.until("not sent:");
    carol.type(`/join team${keys.enter}`);
    await alice.until("carol joined");
    await carol.until("#team  3 members");
    carol.type(`/retry${keys.enter}`);
    await alice.until("carol: still here?");
    bob.type(`/leave${keys.enter}`);
    await alice.until("bob left");
    await bob.until("you are no member");
    alice.type(`/leave${keys.enter}`);
    await alice.until("OWNER_CANNOT_LEAVE");
  });
});

test("history comes page by page when one scrolls up, and /history loads more", async () => {
  const bob = await server.login("bob");
  for (let i = 1; i <= 130; i++) {
    await bob.chat.sendDirect({ recipientId: "alice", content: text(`message ${i}.`) });
  }
  const alice = await chats.open("alice");
  alice.type(keys.tab);
  await alice.until("message 130.");
  for (let pages = 0; pages < 60 && !alice.screen.text.includes("message 1."); pages++) {
    const before = alice.screen.text;
    alice.type(keys.pageUp);
    await alice.until((screen) => screen.text !== before, "the screen scrolls");
  }
  await alice.until("message 1.");
  await alice.until("↓ more below");
  // Nothing is skipped on the way down, and nothing moves when a message arrives.
  const seen = new Set<string>();
  await bob.chat.sendDirect({ recipientId: "alice", content: text("the newest") });
  await alice.until("↓ 1 new below");
  for (let pages = 0; pages < 60; pages++) {
    for (const [, number] of alice.screen.text.matchAll(/message (\d+)\./g)) seen.add(number ?? "");
    if (alice.screen.text.includes("the newest")) break;
    const before = alice.screen.text;
    alice.type(keys.pageDown);
    await alice.until((screen) => screen.text !== before, "the screen scrolls");
  }
  expect(alice.screen.text).toContain("the newest");
  expect([...seen].map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 130 }, (_, i) => i + 1));

  const second = await chats.open("alice", {}, "--device", "second");
  second.type(`/open bob${keys.enter}`);
  await second.until("the newest");
  second.type(`/history 500${keys.enter}`);
  await second.until("older loaded");
  second.type(`/history${keys.enter}`);
  await second.until("there is nothing older");
});

test("a server that restarts is waited for: what was written meanwhile arrives once, in order", async () => {
  const [alice, bob] = await Promise.all([chats.open("alice"), chats.open("bob")]);
  alice.type(`/msg bob before${keys.enter}`);
  await alice.until(/✓.* alice: before/);
  bob.type(`/open alice${keys.enter}`);
  await bob.until("alice: before");
  const { port } = server.server;
  await server.server.close();
  await alice.until("reconnecting…");
  alice.type(`one${keys.enter}two${keys.enter}`);
  await alice.until(/… {2}alice: one/);
  await alice.until("2 to send");
  alice.type(keys.ctrlC);
  await alice.until("2 messages are not sent yet; again to leave");
  expect(port).toBe(server.server.port);
  await server.restart();
  await alice.until("connected", "connected again");
  await bob.until("connected", "connected again");
  // The client tries again within ten seconds.
  await alice.until(/✓.* alice: two/);
  await bob.until("alice: two");
  const said = bob.screen.lines
    .filter((line) => line.includes("alice: "))
    .map((line) => /alice: (\w+)/.exec(line)?.[1]);
  expect(said).toEqual(["before", "one", "two"]);
  await alice.until("bob  online");
});

test("events of kinds that only later releases know are passed over, and what follows is shown", async () => {
  const bob = await server.login("bob");
  await bob.chat.sendDirect({ recipientId: "alice", content: text("before") });
  const alice = await chats.open("alice");
  alice.type(`/open bob${keys.enter}`);
  await alice.until("bob: before");
  await server.restart({}, () => appendUnknown(server.dataDir, directConversationId("alice", "bob"), 20));
  await bob.chat.sendDirect({ recipientId: "alice", content: text("after") });
  await alice.until("bob: after");
  expect(alice.screen.text).toMatch(/bob: before\n.*bob: after/);
});

test("a narrow terminal hides the list, and a resized one is drawn anew", async () => {
  const bob = await server.login("bob");
  await bob.chat.sendDirect({
    recipientId: "alice",
    content: text("A long sentence that needs more than one line of forty columns, and 日本語 too."),
  });
  const alice = await chats.open("alice", { columns: 40, rows: 10 });
  alice.type(keys.tab);
  await alice.until("columns, and");
  expect(alice.screen.text).not.toContain("│");
  expect(alice.screen.lines[0]).toMatch(/^ bob {2}(on|off)line +\/help$/);
  expect(alice.screen.lines.at(-1)).toBe(">");

  for (const [columns, rows] of [
    [80, 24],
    [30, 8],
    [120, 40],
    [40, 10],
  ] as const) {
    alice.resize(columns, rows);
    await alice.until(
      ({ lines }) =>
        lines[0]?.endsWith("/help") === true &&
        lines[0].length === columns - 1 &&
        lines.at(-1) === ">" &&
        lines.filter((line) => line.includes("/help")).length === 1 &&
        lines.some((line) => line.includes("日本語")) &&
        lines.some((line) => line.includes("│")) === columns >= 60,
      `a whole screen of ${columns} columns and ${rows} rows`,
    );
    expect(alice.screen.y).toBe(rows - 1);
  }
  expect(alice.screen.unknown).toEqual([]);
});

test("with NO_COLOR there are no colours, without it there are", async () => {
  const bob = await server.login("bob");
  await bob.chat.sendDirect({ recipientId: "alice", content: text("hello") });
  const plain = await chats.open("alice", { env: { NO_COLOR: "1" } });
  const colourful = await chats.open("alice", {}, "--device", "second");
  for (const terminal of [plain, colourful]) {
    terminal.type(`/open bob${keys.enter}hi${keys.enter}/nonsense${keys.enter}`);
    await terminal.until("is no command");
  }
  expect([...plain.screen.colours]).toEqual([]);
  expect(colourful.screen.colours.size).toBeGreaterThan(2);
});

test("the line editor: words, history, several pasted lines, slashes, unknown commands", async () => {
  const alice = await chats.open("alice");
  alice.type(`/open bob${keys.enter}`);
  await alice.until("bob  offline");
  alice.type(`wrold${keys.ctrlW}hello world${keys.home}> ${keys.enter}`);
  await alice.until("alice: > hello world");
  alice.type(`${keys.up}${keys.left}X${keys.enter}`);
  await alice.until("alice: > hello worlXd");
  alice.type(keys.paste("first line\nsecond /quit\n"));
  await alice.until(/^> first line\n {2}second \/quit$/m);
  alice.type(`third${keys.altEnter}fourth${keys.enter}`);
  await alice.until(/alice: first line\n.* second \/quit\n.* third\n.* fourth/);
  alice.type(`//path${keys.enter}`);
  await alice.until("alice: /path");
  alice.type(`/frobnicate${keys.enter}`);
  await alice.until("/frobnicate is no command; there are");
  alice.type(`/he${keys.tab}${keys.enter}`);
  await alice.until("leave the chat");
  alice.type(`/msg alice me${keys.enter}`);
  await alice.until("that is you");
  alice.type(`/quit${keys.enter}`);
  expect(await alice.ended).toEqual({ code: 0, restored: true });
});

test("what others write can do nothing to the terminal", async () => {
  const evil = "<b>evil\u200Bname</b>";
  const mallory = await server.login(evil);
  const bodies = [
    "\u001b[2J\u001b[H\u001b[31mred\u001b]0;title\u0007 \u009b31m",
    "user\u202Egnp.exe",
    "\u001b[?1049l\rover\b\b\u0000",
    "👨‍👩‍👧‍👦".repeat(30),
    `x${"\u0330".repeat(300)}`,
  ];
  for (const body of bodies) await mallory.chat.sendDirect({ recipientId: "alice", content: text(body) });
  await mallory.groups.createGroup({ groupId: "g", name: "\u001b[31mteam\u202E\nx", memberIds: ["alice"] });
  const alice = await chats.open("alice");
  await alice.until("#␛[31mteam x");
  alice.type(keys.tab);
  await alice.until("␛[2J␛[H␛[31mred␛]0;title␇");
  await alice.until("usergnp.exe");
  for (const part of ["\u202E", "\u009b", "\u0007", "\u200B", "\u001b[2J", "\u001b]", "\u001b[31mred"]) {
    expect(alice.output()).not.toContain(part);
  }
  expect(alice.screen.modes.has(1049)).toBe(true);
  expect(alice.screen.modes.has(7)).toBe(false);
  expect(lineWith(alice, "<b>evilname</b>: ")).not.toBe("");
  expect(alice.screen.unknown).toEqual([]);
});

describe("the terminal is given back", () => {
  const intact = ({ screen }: Terminal) => ({
    alternate: screen.modes.has(1049),
    cursor: screen.modes.has(25),
    paste: screen.modes.has(2004),
    wrap: screen.modes.has(7),
  });
  const clean = { alternate: false, cursor: true, paste: false, wrap: true };

  test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)("after %s", async (signal) => {
    const alice = await chats.open("alice");
    process.kill(alice.pid(), signal);
    expect(await alice.ended).toEqual({ code: 0, restored: true });
    expect(intact(alice)).toEqual(clean);
  });

  test("after Ctrl-C, with what was on it before", async () => {
    const alice = await chats.open("alice");
    const inUse = { alternate: true, cursor: true, paste: true, wrap: false };
    // Pastes are asked for once the first screen is there.
    await eventually(() => isDeepStrictEqual(intact(alice), inUse));
    alice.type(keys.ctrlC);
    expect(await alice.ended).toEqual({ code: 0, restored: true });
    expect(intact(alice)).toEqual(clean);
    expect(alice.screen.text.trim()).toBe("");
  });

  test("when another program takes the device, which is said", async () => {
    const alice = await chats.open("alice");
    await chats.open("alice");
    expect(await alice.ended).toEqual({ code: 1, restored: true });
    expect(intact(alice)).toEqual(clean);
    expect(alice.screen.text.replaceAll("\n", "")).toContain(
      "parlance: another program with the same --device took over",
    );
  });

  test("when its window is closed, the program ends", async () => {
    const alice = await chats.open("alice");
    alice.hangUp();
    expect(await alice.ended).toMatchObject({
      // The second hang-up signal, if one comes, ends it at once.
      code: expect.toBeOneOf([0, -1]),
    });
  });
});

test("what cannot begin is said in one line", async () => {
  const absent = chats.run(["chat", "--as", "alice", "--server", "127.0.0.1:1"], { columns: 200 });
  expect(await absent.ended).toEqual({ code: 1, restored: true });
  expect(absent.screen.text.trim()).toMatch(
    /^parlance: no Parlance at 127\.0\.0\.1:1; start one with `npm start`.*$/,
  );
  const nobody = chats.run(["chat"], { columns: 200 });
  expect(await nobody.ended).toMatchObject({ code: 2 });
  expect(nobody.screen.text).toContain("nobody is named");
});
