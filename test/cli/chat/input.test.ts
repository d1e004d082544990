import type { Key } from "ink";
import { describe, expect, test } from "vitest";
import { commands, complete, helpLines, parseLine } from "../../../clients/terminal/input/commands.ts";
import * as edit from "../../../clients/terminal/input/editor.ts";
import { InputHistory } from "../../../clients/terminal/input/history.ts";
import { actionsOf } from "../../../clients/terminal/input/keys.ts";
import { layOutInput } from "../../../clients/terminal/screen/input-rows.ts";

describe("a typed line", () => {
  test.each([
    ["hello", { kind: "text", text: "hello" }],
    ["  hello ", { kind: "text", text: "  hello " }],
    ["//etc/passwd", { kind: "text", text: "/etc/passwd" }],
    ["", { kind: "empty" }],
    [" \n ", { kind: "empty" }],
    ["/help", { kind: "command", name: "help", words: [], rest: "" }],
    ["/msg bob  a  b\nc", { kind: "command", name: "msg", words: ["bob", "a", "b", "c"], rest: " a  b\nc" }],
    ['/open "#our team"', { kind: "command", name: "open", words: ["#our team"], rest: "" }],
    [
      '/group team bob "carol x"',
      { kind: "command", name: "group", words: ["team", "bob", "carol x"], rest: 'bob "carol x"' },
    ],
  ])("%j is understood", (line, meaning) => expect(parseLine(line)).toEqual(meaning));

  test.each(["/nonsense", "/", "/constructor", "/ help", "/HELP"])(
    "%j says which commands there are",
    (line) => {
      const parsed = parseLine(line);
      if (parsed.kind !== "mistake") throw new Error(`taken for ${parsed.kind}`);
      for (const name of Object.keys(commands)) expect(parsed.message).toContain(`/${name}`);
    },
  );

  test.each(["/msg", "/msg bob", "/open", "/invite", "/remove", "/join", "/group"])(
    "%j says what is missing",
    (line) => {
      expect(parseLine(line)).toMatchObject({ kind: "mistake", message: expect.stringContaining("/") });
    },
  );

  test("is completed as far as is certain", () => {
    expect(complete("/le", [])).toBe("/leave ");
    expect(complete("/h", [])).toBeUndefined();
    expect(complete("/he", [])).toBe("/help ");
    expect(complete("/open al", ["alice", "albert", "bob"])).toBeUndefined();
    expect(complete("/open b", ["alice", "albert", "bob"])).toBe("/open bob ");
    expect(complete("/open a", ["alice", "albert"])).toBe("/open al");
    expect(complete("hello b", ["bob"])).toBeUndefined();
  });

  test("has its help on one screen of 24 rows", () => {
    expect(helpLines().length).toBeLessThanOrEqual(19);
    for (const line of helpLines()) expect(line.length).toBeLessThanOrEqual(50);
  });
});

describe("the line editor", () => {
  const at = (text: string): edit.Editor => ({ text: text.replace("|", ""), cursor: text.indexOf("|") });
  const shown = ({ text, cursor }: edit.Editor) => `${text.slice(0, cursor)}|${text.slice(cursor)}`;

  test.each([
    ["left", "ab👍🏽|c", "ab|👍🏽c"],
    ["left", "|ab", "|ab"],
    ["right", "ab|👍🏽c", "ab👍🏽|c"],
    ["right", "ab|", "ab|"],
    ["home", "one\ntw|o", "one\n|two"],
    ["end", "o|ne\ntwo", "one|\ntwo"],
    ["wordLeft", "one two |x", "one |two x"],
    ["wordLeft", "  |x", "|  x"],
    ["wordRight", "one| two x", "one two| x"],
    ["backspace", "añ|b", "a|b"],
    ["backspace", "|b", "|b"],
    ["deleteRight", "a|日b", "a|b"],
    ["deleteWordLeft", "one two|", "one |"],
    ["deleteWordRight", "one| two x", "one| x"],
    ["deleteToStart", "one two|x", "|x"],
    ["deleteToEnd", "on|e\ntwo", "on|\ntwo"],
  ] as const)("%s turns %j into %j", (name, before, after) => {
    const change = new Map(Object.entries(edit)).get(name) as (editor: edit.Editor) => edit.Editor;
    expect(shown(change(at(before)))).toBe(after);
  });

  test("takes pasted lines as they are", () => {
    expect(shown(edit.insert(at("a|b"), "1\r\n2\r3"))).toBe("a1\n2\n3|b");
  });

  test("has what was sent before, and keeps what is being typed", () => {
    const history = new InputHistory();
    for (const line of ["one", "two", "two", ""]) history.add(line);
    let editor = edit.editorOf("typing");
    const seen: string[] = [];
    for (const step of ["older", "older", "older", "newer", "newer", "newer"] as const) {
      editor = history[step](editor);
      seen.push(editor.text);
    }
    expect(seen).toEqual(["two", "one", "one", "two", "typing", "typing"]);
  });

  test("shows a long text in a few rows with the cursor among them", () => {
    expect(layOutInput(at("hello|"), 10, 3)).toEqual({ rows: ["hello"], cursor: { x: 5, y: 0 } });
    expect(layOutInput(at("0123456789|"), 10, 3)).toEqual({
      rows: ["0123456789", ""],
      cursor: { x: 0, y: 1 },
    });
    expect(layOutInput(at("a\nb\nc\nd\ne|"), 10, 3)).toEqual({
      rows: ["c", "d", "e"],
      cursor: { x: 1, y: 2 },
    });
    expect(layOutInput(at("|a\nb\nc\nd\ne"), 10, 3)).toEqual({
      rows: ["a", "b", "c"],
      cursor: { x: 0, y: 0 },
    });
    expect(layOutInput(at("日本|語"), 5, 3)).toEqual({ rows: ["日本", "語"], cursor: { x: 0, y: 1 } });
    expect(layOutInput(at("\u001b[31m|"), 10, 3).rows).toEqual(["␛[31m"]);
  });
});

test("keys that come together are taken one by one", () => {
  const none = { ctrl: false, meta: false } as Key;
  expect(actionsOf("hi\rx\u007f\u000e", none)).toEqual([
    { insert: "hi" },
    "submit",
    { insert: "x" },
    "backspace",
    "nextConversation",
  ]);
  expect(actionsOf("n", { ...none, ctrl: true })).toEqual(["nextConversation"]);
  expect(actionsOf("3", { ...none, meta: true })).toEqual([{ conversation: 3 }]);
  expect(actionsOf("", { ...none, return: true, meta: true })).toEqual(["newLine"]);
  expect(actionsOf("é", none)).toEqual([{ insert: "é" }]);
});
