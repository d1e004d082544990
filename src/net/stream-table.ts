import type { ServerHttp2Session } from "node:http2";
import { IdTable } from "./id-table.ts";

/**
 * Has Node keep the streams of a new session in an IdTable instead of a Map:
 * with a stream for each unary call, quick garbage collections then take a
 * tenth of the time. Node keeps that table to itself. Where it is not what is
 * expected, it stays; a test tells.
 *
 * @returns whether it was found
 */
export function tableStreams(session: ServerHttp2Session): boolean {
  const state = Object.getOwnPropertySymbols(session)
    .filter(({ description }) => description === "state")
    .map((symbol) => (session as unknown as Record<symbol, { streams?: unknown }>)[symbol])
    .find((each) => each !== undefined && isEmptyMap(each.streams));
  if (state === undefined) return false;
  state.streams = new IdTable();
  return true;
}

function isEmptyMap(value: unknown): boolean {
  return Object.prototype.toString.call(value) === "[object Map]" && (value as Map<never, never>).size === 0;
}
