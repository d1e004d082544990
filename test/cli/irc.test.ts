import { describe, expect, test } from "vitest";
import { idOf } from "../../src/cli/replay/ids.ts";
import { type IrcStep, parseIrcDay } from "../../src/cli/replay/irc.ts";

function stepsOf(...lines: string[]): IrcStep[] {
  return parseIrcDay(`${lines.join("\n")}\n`).steps;
}

function textOf(line: string): string | undefined {
  const [step] = stepsOf(line);
  return step?.kind === "say" ? step.text : undefined;
}

describe("a spoken line", () => {
  test("has a time, a nick and a text", () => {
    expect(stepsOf("[04:46] <cody_penguin> Tom47: thanks")).toEqual([
      { minute: 286, kind: "say", nick: "cody_penguin", text: "Tom47: thanks", to: undefined },
    ]);
  });

  test("keeps its text to the byte", () => {
    for (const text of [
      "  two before and after  ",
      "a\tb",
      "\u0003colour\u000f",
      "\u2028",
      "é\r",
      "\ufeffx",
      "<b> x",
      "> y",
    ]) {
      expect(textOf(`[00:00] <a> ${text}`)).toBe(text);
    }
  });

  test("without a text cannot be sent and is counted", () => {
    const day = parseIrcDay("[00:00] <a> \n[00:01] <b>\n[00:02] <c>  \n");
    expect(day.skipped).toBe(2);
    expect(day.steps).toMatchObject([{ nick: "c", text: " " }]);
    expect(day.nicks).toEqual(["a", "b", "c"]);
  });

  test("may be an action, with one space or two before the star", () => {
    const [one, two] = stepsOf("[04:48]  * unperson sits", "[04:48] * Pelo made that");
    expect(one).toMatchObject({ nick: "unperson", text: "sits" });
    expect(two).toMatchObject({ nick: "Pelo", text: "made that" });
  });

  test("may follow midnight", () => {
    expect(stepsOf("[23:59] <a> x", "[00:01] <a> y").map(({ minute }) => minute)).toEqual([1439, 1441]);
  });
});

describe("a nick", () => {
  test("has the space left out that the log writes behind a bracket", () => {
    const day = parseIrcDay(
      [
        "=== [cc] smart [n=[cc] smar@gw.example.net]  has joined #ubuntu",
        "[04:48] <[cc] smart> hello",
        "[04:49]  * [cc] smart waves",
        "[04:50] <zcat[1] > hm",
        "[04:51] <bob> zcat[1] : yes",
        "[04:52] <bob> [cc]smart, no",
      ].join("\n"),
    );
    expect(day.nicks).toEqual(["[cc]smart", "zcat[1]", "bob"]);
    expect(day.steps).toMatchObject([
      { kind: "join", nick: "[cc]smart" },
      { kind: "say", nick: "[cc]smart", text: "hello" },
      { kind: "say", nick: "[cc]smart", text: "waves" },
      { kind: "say", nick: "zcat[1]", text: "hm" },
      { to: "zcat[1]", text: "zcat[1] : yes" },
      { to: "[cc]smart" },
    ]);
  });
});

test("joins, leaves and new nicks are read, other notices are not", () => {
  expect(
    stepsOf(
      "=== Grunt [n=jamie@example.co.uk]  has joined #Ubuntu",
      '=== Ed_L [n=irc@phpBB/support/Anon]  has left #ubuntu ["bye [all]"]',
      "=== plain has joined #ubuntu",
      "=== server_ is now known as Bart] ",
      "=== Bart]  is now known as _Bart_",
      "=== mode/#ubuntu [+o Seveas]  by ChanServ",
      "=== Celestar cries",
      "=== Fracture is getting edgy for dapper",
      "=== ompaul was kicked off #ubuntu by Seveas (Seveas)",
      "",
    ),
  ).toEqual([
    { minute: 0, kind: "join", nick: "Grunt" },
    { minute: 0, kind: "leave", nick: "Ed_L" },
    { minute: 0, kind: "join", nick: "plain" },
    { minute: 0, kind: "rename", nick: "server_", to: "Bart]" },
    { minute: 0, kind: "rename", nick: "Bart]", to: "_Bart_" },
  ]);
});

describe("a line is addressed", () => {
  const others = ["[00:00] <bob> .", "[00:09] <late> ."];
  const addressee = (text: string) => {
    const step = stepsOf(...others, `[00:01] <alice> ${text}`).at(-1);
    return step?.kind === "say" ? step.to : "no step";
  };

  test("to another user of the day, also one who comes later, before a colon or a comma", () => {
    expect(addressee("bob: hi")).toBe("bob");
    expect(addressee("bob, hi")).toBe("bob");
    expect(addressee("late:hi")).toBe("late");
  });

  test("to nobody when it begins otherwise", () => {
    for (const text of [
      "bob hi",
      "Bob: hi",
      "bobby: hi",
      "hi bob: hi",
      "alice: me",
      " bob: hi",
      "nobody: hi",
    ]) {
      expect(addressee(text)).toBeUndefined();
    }
  });
});

test("ids of different nicks differ and hold nothing that an id must not", () => {
  expect(idOf("2007-06-17", "run", "a/b")).toBe("2007-06-17/run/a%2Fb");
  expect(idOf("d", "r", "a%2Fb")).not.toBe(idOf("d", "r", "a/b"));
  expect(idOf("d", "r", " a\u0000\u202e")).toBe("d/r/%20a%00%E2%80%AE");
  const long = idOf("d", "r", "x".repeat(300));
  expect(Buffer.byteLength(long)).toBeLessThanOrEqual(128);
  expect(long).not.toBe(idOf("d", "r", "x".repeat(301)));
});
