/** The configuration of nginx that is given to users, with nginx and a server of ours. */

import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { ChannelCredentials, createChannel, Status } from "nice-grpc";
import { describe, expect, onTestFinished, test } from "vitest";
import { ChatService } from "../../gen/parlance/chat/v1/chat_service_pb.js";
import type { Config } from "../../src/config/config.ts";
import { type Clients, clientsOf } from "../support/clients.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { startTestServer, text } from "../support/server.ts";
import { type Nginx, nginxMissing, startNginx } from "./nginx.ts";

/** Starts a server behind nginx, as the second of three nodes of which the others are away. */
async function startBehindNginx(
  config: Partial<Config> = {},
  directives: Readonly<Record<string, string>> = {},
): Promise<Nginx> {
  const { server, close } = await startTestServer(config);
  onTestFinished(close);
  const away = async () => ({ grpc: `127.0.0.1:${await freePort()}`, http: `127.0.0.1:${await freePort()}` });
  const here = { grpc: server.address, http: server.httpAddress as string };
  const nginx = await startNginx([await away(), here, await away()], directives);
  onTestFinished(nginx.close);
  return nginx;
}

/** Clients over gRPC and TLS that call through nginx. */
function grpcClients({ grpcPort, certificate }: Nginx, token?: string): Clients {
  const credentials = ChannelCredentials.createSsl(certificate.cert);
  const channel = createChannel(`localhost:${grpcPort}`, credentials, {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.enable_retries": 0,
  });
  onTestFinished(() => channel.close());
  return clientsOf(channel, token === undefined ? {} : { authorization: `Bearer ${token}` });
}

async function logIn(nginx: Nginx, userId: string): Promise<Clients> {
  const { sessionToken } = await grpcClients(nginx).chat.login({
    credential: { case: "devUserId", value: userId },
  });
  return grpcClients(nginx, sessionToken);
}

/** Waits for several times as long as nginx waits for a silent side in these tests. */
async function outlastTimeouts(stillOpen: () => boolean): Promise<void> {
  const startMs = performance.now();
  await eventually(() => !stillOpen() || performance.now() - startMs > 4 * timeoutMs);
}

/** What the long timeouts of the configuration are set to, so that a test need not wait for minutes. */
const timeoutMs = 2_000;
const timeout = `${timeoutMs}ms`;

describe("behind nginx", () => {
  test("gRPC calls and streams work while other nodes are away", async ({ skip }) => {
    skip(nginxMissing !== undefined, nginxMissing);
    const nginx = await startBehindNginx();
    const [alice, bob] = [await logIn(nginx, "alice"), await logIn(nginx, "bob")];
    const stream = bob.stream();
    await stream.open();
    for (const body of ["one", "two", "three"]) {
      await alice.chat.sendDirect({ recipientId: "bob", content: text(body) });
    }
    await eventually(() => stream.all("message").length === 3);
    stream.cancel();
  });

  test("a silent stream outlasts nginx's read timeout, because the server pings", async ({ skip }) => {
    skip(nginxMissing !== undefined, nginxMissing);
    const nginx = await startBehindNginx(
      { keepaliveIdleTimeMs: timeoutMs / 5 },
      { grpc_read_timeout: timeout },
    );
    const alice = await logIn(nginx, "alice");
    const stream = alice.stream();
    await stream.open();
    let over = false;
    void stream.ended.then(() => {
      over = true;
    });
    await outlastTimeouts(() => !over);
    expect(over).toBe(false);
    stream.send({ case: "ping", value: {} }, "1");
    await stream.next("pong");
    stream.cancel();
  });

  test("a silent stream would be cut if the server did not ping", async ({ skip }) => {
    skip(nginxMissing !== undefined, nginxMissing);
    const nginx = await startBehindNginx(
      { keepaliveTimeMs: 600_000, keepaliveIdleTimeMs: 600_000 },
      { grpc_read_timeout: timeout },
    );
    const alice = await logIn(nginx, "alice");
    const stream = alice.stream();
    await stream.open();
    expect(await stream.ended).toMatchObject({ code: expect.any(Number) });
  });

  test("a client that pings outlasts nginx's timeout for what clients send", async ({ skip }) => {
    skip(nginxMissing !== undefined, nginxMissing);
    const nginx = await startBehindNginx({}, { client_body_timeout: timeout });
    const alice = await logIn(nginx, "alice");
    const stream = alice.stream();
    await stream.open();
    let over = false;
    void stream.ended.then(() => {
      over = true;
    });
    const pings = setInterval(() => stream.send({ case: "ping", value: {} }), timeoutMs / 5);
    onTestFinished(() => clearInterval(pings));
    await outlastTimeouts(() => !over);
    expect(over).toBe(false);
    stream.cancel();
  });

  test("a client over Connect or gRPC-Web sends, and hears of it in a stream", async ({ skip }) => {
    skip(nginxMissing !== undefined, nginxMissing);
    const nginx = await startBehindNginx();
    const options = {
      baseUrl: `https://localhost:${nginx.httpPort}`,
      nodeOptions: { ca: nginx.certificate.cert },
    };
    for (const transport of [
      createConnectTransport({ ...options, httpVersion: "2" }),
      createConnectTransport({ ...options, httpVersion: "1.1", useBinaryFormat: false }),
      createGrpcWebTransport({ ...options, httpVersion: "1.1" }),
    ]) {
      const client = createClient(ChatService, transport);
      const { sessionToken } = await client.login({ credential: { case: "devUserId", value: "carol" } });
      const headers = { authorization: `Bearer ${sessionToken}` };
      const abort = new AbortController();
      const heard = (async () => {
        const signal = abort.signal;
        for await (const { events } of client.listen({ open: {} }, { headers, signal })) {
          for (const { event } of events) {
            if (event.case === "caughtUp") {
              await client.sendDirect({ recipientId: "dave", content: text("hello") }, { headers });
            }
            if (event.case === "message") return event.value.content?.kind.value;
          }
        }
      })();
      expect(await heard).toMatchObject({ body: "hello" });
      abort.abort();
    }
  });

  test("a call that no node can take is UNAVAILABLE, so that clients try again", async ({ skip }) => {
    skip(nginxMissing !== undefined, nginxMissing);
    const away = { grpc: `127.0.0.1:${await freePort()}`, http: `127.0.0.1:${await freePort()}` };
    const nginx = await startNginx([away, away, away]);
    onTestFinished(nginx.close);
    await expect(logIn(nginx, "alice")).rejects.toMatchObject({ code: Status.UNAVAILABLE });
  });
});
