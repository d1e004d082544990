import { expect, test } from "vitest";
import { checkLog, type LogOptions } from "./logs.ts";

const line = (fields: object = {}) => `${JSON.stringify({ level: "warn", msg: "a warning", ...fields })}\n`;

function judge(options: Partial<LogOptions>): string[] {
  return checkLog({ log: "", exits: [], bodyMarker: '§"body"§', ...options }).map(({ rule }) => rule);
}

test("a clean log and processes that end when asked are found to be so", () => {
  const exits = [
    { how: "SIGKILL" as const, asked: true },
    { how: 0, asked: true },
  ];
  expect(judge({ log: line() + line({ package: "parlance_failpoints" }), exits })).toEqual([]);
});

test("I15: a process that ends by itself is found", () => {
  expect(judge({ exits: [{ how: 1, asked: false }] })).toEqual(["I15"]);
  expect(judge({ exits: [{ how: "SIGSEGV", asked: false }] })).toEqual(["I15"]);
});

test("I15: a rejection that nobody handled is found", () => {
  expect(judge({ log: line({ msg: "Unhandled rejection" }) })).toEqual(["I15"]);
  expect(judge({ log: line({ msg: "uncaughtException" }) })).toEqual(["I15"]);
});

test("I17: a line that is not one JSON object is found", () => {
  for (const text of ["plain text", "[1]", "3", "null", '{"a":1}{"b":2}'])
    expect(judge({ log: `${line()}${text}\n` })).toEqual(["I17"]);
});

test("I17: a session token is found, wherever it stands", () => {
  const token = `parlance_${"aB3-_".repeat(9).slice(0, 43)}`;
  expect(judge({ log: line({ msg: `with ${token}` }) })).toEqual(["I17"]);
});

test("I17: a message body is found, also with its quotes escaped", () => {
  expect(judge({ log: line({ msg: 'got §"body"§ hello' }) })).toEqual(["I17"]);
  expect(judge({ log: line({ msg: "got body hello" }) })).toEqual([]);
});
