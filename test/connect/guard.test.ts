import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { createParlance } from "../../src/index.ts";
import { guarded } from "../../src/rpc/connect/guard.ts";
import { makeDataDir } from "../support/serve-child.ts";

const secret = "Bearer eyJhbGciOiJIUzI1NiJ9";

async function listen(listener: Parameters<typeof createServer>[1] & object): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function post(url: string, headers: Record<string, string>): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: "POST", headers, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (chunk) => {
        body += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
    });
    sent.on("error", reject);
    sent.end("{}");
  });
}

test("a request whose answering throws is answered with 500 and logged without what it was about", async () => {
  const lines: object[] = [];
  const log = {
    info() {},
    warn() {},
    error: (fields: object, message: string) => lines.push({ ...fields, message }),
  };
  const url = await listen(
    guarded(() => {
      throw new TypeError(`no good: ${secret}`);
    }, log),
  );
  const { status, body } = await post(url, {});
  expect(status).toBe(500);
  const { errorId } = lines[0] as { errorId: string };
  expect(JSON.parse(body)).toMatchObject({ code: "internal", message: expect.stringContaining(errorId) });
  expect(lines).toEqual([
    {
      errorId,
      error: "TypeError",
      at: expect.arrayContaining([expect.stringContaining("guard.test.ts")]),
      message: "request failed",
    },
  ]);
  expect(JSON.stringify(lines)).not.toContain(secret);
});

test("no header ends the process of a host that hands its requests on", async () => {
  const dataDir = makeDataDir();
  onTestFinished(dataDir.remove);
  const parlance = await createParlance({ store: `${dataDir.path}/chat.db`, auth: "dev" });
  onTestFinished(parlance.close);
  const url = await listen((request, response) => {
    if (!parlance.handleHttp(request, response)) response.writeHead(404).end();
  });
  const path = `${url}/parlance.chat.v1.ChatService/SendDirect`;
  const json = { "content-type": "application/json" };
  expect(await post(path, { ...json, "user-agent": "Zo\xeb" })).toMatchObject({ status: 401 });
  expect(await post(path, { ...json, authorization: "Bearer Zo\xeb" })).toMatchObject({
    status: 400,
    body: expect.stringContaining("INVALID_METADATA"),
  });
  expect(await post(`${url}/elsewhere`, { "x!y": "Zo\xeb" })).toMatchObject({ status: 404 });
});
