import { type ArgsDef, parseArgs } from "citty";
import { describe, expect, test } from "vitest";
import { checkArguments } from "../../src/cli/arguments.ts";
import { parseDuration } from "../../src/cli/duration.ts";
import { CommandError } from "../../src/cli/errors.ts";
import { sendCommand } from "../../src/cli/send.ts";
import { settingArgs, settingOptions } from "../../src/cli/setting-args.ts";
import { loadConfig } from "../../src/config/config.ts";

const check =
  (...rawArgs: string[]) =>
  () =>
    checkArguments("serve", rawArgs, settingArgs);

describe("the arguments of serve", () => {
  test("name every setting", () => {
    const rawArgs = ["--port", "1", "--data-dir=/tmp/x", "--no-reflection", "--max-sessions", "7"];
    expect(check(...rawArgs)).not.toThrow();
    const config = loadConfig({ env: {}, options: settingOptions(parseArgs(rawArgs, settingArgs)) });
    expect(config).toMatchObject({ port: 1, dataDir: "/tmp/x", reflection: false, maxSessions: 7 });
  });

  test("leave out what was not given, so that other sources count", () => {
    const options = settingOptions(parseArgs(["--port=1"], settingArgs));
    expect(Object.entries(options).filter(([, value]) => value !== undefined)).toEqual([["port", "1"]]);
    const env = { PARLANCE_REFLECTION: "off" };
    expect(loadConfig({ env, options }).reflection).toBe(false);
  });

  test.each([
    ["--prot", "1"],
    ["--port"],
    ["--port="],
    ["--no-port"],
    ["--reflection=off"],
    ["-p", "1"],
    ["now"],
    ["--", "now"],
  ])("are refused when they are not its own: %s %s", (...rawArgs) => {
    expect(check(...rawArgs)).toThrow(CommandError);
    expect(check(...rawArgs)).toThrow(/`parlance serve --help` lists what it takes/);
  });
});

test("a command that takes words takes several", () => {
  const defs = { file: { type: "positional" }, json: { type: "boolean", alias: "j" } } as const;
  expect(() => checkArguments("replay", ["a.txt", "b.txt", "-j"], defs)).not.toThrow();
});

test("durations are written with their unit", () => {
  expect(["90s", "15m", "1h", "30d"].map(parseDuration)).toEqual([90, 900, 3_600, 2_592_000]);
  expect(["", "1", "0s", "-1s", "1.5h", "1 h", "1w", "9999999999s"].map(parseDuration)).toEqual(
    Array.from({ length: 8 }, () => undefined),
  );
});

test("an argument that is not UTF-8 is refused, as Node makes the same text of all of them", () => {
  const send =
    (...rawArgs: string[]) =>
    () =>
      checkArguments("send", rawArgs, sendCommand.args as ArgsDef);
  expect(send("hello", "--to", "bob")).not.toThrow();
  expect(send("hello", "--to", "bob\ufffd")).toThrow(/^--to is not well-formed UTF-8/);
  expect(send("hello\ufffd", "--to", "bob")).toThrow(/^a word is not well-formed UTF-8/);
});
