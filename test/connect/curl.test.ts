/** docs/http.md as somebody follows it who has nothing but `curl`, and the port as `buf curl` meets it. */

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { missingCommand } from "../faults/disturb/needs.ts";
import { testUnless } from "../support/describe-unless.ts";
import { eventually } from "../support/eventually.ts";
import { exitOf } from "../support/serve-child.ts";
import { startTestServer, type TestServer } from "../support/server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const curlMissing = missingCommand("curl");
if (curlMissing !== undefined && process.env.CI) throw new Error(curlMissing);

/** Starts a command line of the docs against the server under test. */
function start(command: string, token = "") {
  const line = command.replaceAll("127.0.0.1:8080", server.server.httpAddress as string);
  const child = spawn("bash", ["-c", `exec ${line}`], { env: { ...process.env, TOKEN: token } });
  let stdout = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    stdout += chunk;
  });
  child.stderr.resume();
  return { stdout: () => stdout, exited: exitOf(child), end: () => child.kill() };
}

testUnless(curlMissing, "the curl lines of docs/http.md make a whole chat", async () => {
  const commands = [...readFileSync("docs/http.md", "utf8").matchAll(/```sh\n(.*?)\n```/gs)].map(
    ([, command = ""]) => command,
  );
  expect(commands).toHaveLength(4);
  const [login = "", listen = "", send = "", list = ""] = commands;

  const loggedIn = start(login);
  await loggedIn.exited;
  const { sessionToken } = JSON.parse(loggedIn.stdout()) as { sessionToken: string };
  const listening = start(listen, sessionToken);
  await eventually(() => listening.stdout().includes("caughtUp"));
  const sent = start(send, sessionToken);
  await sent.exited;
  expect(JSON.parse(sent.stdout())).toMatchObject({ result: { seq: "1" } });
  await eventually(() => listening.stdout().includes('"Hello"'));
  listening.end();
  await listening.exited;
  const listed = start(list, sessionToken);
  await listed.exited;
  expect(JSON.parse(listed.stdout())).toMatchObject({ messages: [{ content: { text: { body: "Hello" } } }] });
});

describe("buf curl, with nothing but reflection, sends and listens by", () => {
  test.each([
    ["connect", "1"],
    ["connect", "2"],
    ["grpcweb", "1"],
    ["grpcweb", "2"],
    ["grpc", "2"],
  ])("%s over HTTP/%s", async (protocol, version) => {
    const { token } = await server.login(`buf-${protocol}-${version}`);
    // Reflection goes both ways: over HTTP/1.1 the schema comes from the files.
    const how = version === "2" ? "--http2-prior-knowledge" : "--schema .";
    const call = (method: string, body: string) =>
      start(
        `node_modules/.bin/buf curl ${how} --protocol ${protocol} -H "authorization: Bearer $TOKEN" -d '${body}' http://127.0.0.1:8080/parlance.chat.v1.ChatService/${method}`,
        token,
      );
    const listening = call("Listen", "{}");
    await eventually(() => listening.stdout().includes("caughtUp"));
    const sent = call("SendDirect", '{"recipient_id":"ann","content":{"text":{"body":"Hi there"}}}');
    expect(await sent.exited).toBe(0);
    await eventually(() => listening.stdout().includes("Hi there"));
    listening.end();
    await listening.exited;
  });
});
