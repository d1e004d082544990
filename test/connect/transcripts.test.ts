import { beforeAll, describe, expect, test } from "vitest";
import { failureOf } from "../support/errors.ts";
import { startTestServer } from "../support/server.ts";
import { connectFailureOf, type HttpClients, httpClients, type Way, ways } from "./clients.ts";
import { type Caller, runScript } from "./transcript.ts";

/** Runs the script on a server of its own. */
async function transcriptOf(callerOf: (grpc: string, http: string) => Caller & { close?: () => void }) {
  const server = await startTestServer();
  const caller = callerOf(server.address, server.server.httpAddress as string);
  try {
    return await runScript(caller);
  } finally {
    caller.close?.();
    await server.close();
  }
}

describe("the same calls get the same answers as on the gRPC port by", () => {
  let expected: unknown[];
  beforeAll(async () => {
    const server = await startTestServer();
    expected = await runScript({ as: server.as as unknown as Caller["as"], failureOf });
    await server.close();
  });

  test.each(Object.keys(ways) as Way[])("%s", async (way) => {
    const open: HttpClients[] = [];
    const transcript = await transcriptOf((_, http) => ({
      as: (headers) => {
        const clients = httpClients(way, http, headers);
        open.push(clients);
        return clients;
      },
      failureOf: connectFailureOf as Caller["failureOf"],
      close: () => {
        for (const clients of open) clients.close();
      },
    }));
    expect(transcript).toEqual(expected);
  });

  test("gRPC with grpc-js, on the HTTP port", async () => {
    const server = await startTestServer();
    const { httpAddress } = server.server;
    const transcript = await runScript({
      as: ((headers: Record<string, string>) => server.as(headers, httpAddress)) as unknown as Caller["as"],
      failureOf,
    });
    await server.close();
    expect(transcript).toEqual(expected);
  });
});
