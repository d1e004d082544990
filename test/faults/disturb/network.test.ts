import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { describeUnless, testUnless } from "../../support/describe-unless.ts";
import { eventually } from "../../support/eventually.ts";
import { exitOf } from "../../support/serve-child.ts";
import { createHost, type Host, missingNetwork } from "./network.ts";

const missing = missingNetwork();
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Sends back what it gets. */
const echo = `
  const server = require("node:net").createServer((socket) => socket.pipe(socket).on("error", () => {}));
  server.listen(7000, process.argv[1], () => console.log("ready"));
`;

describeUnless(missing, "a host of its own", () => {
  test("loses its cable without a word, and goes on when it is plugged in again", async () => {
    const { host, socket, received } = await startEcho();
    socket.write("a");
    await eventually(() => received() === "a");

    host.pullCable();
    socket.write("b");
    await delay(300);
    expect(received()).toBe("a");
    expect(socket.closed).toBe(false);

    host.plugCable();
    await eventually(() => received() === "ab");
  });

  test("is gone in the end, with what runs in it", async () => {
    const { host, exited } = await startEcho();
    host.close();
    expect(await exited).toBe("SIGKILL");
    expect(execFileSync("ip", ["netns", "list"], { encoding: "utf8" })).not.toContain(host.wrapper[3]);
    expect(execFileSync("ip", ["address"], { encoding: "utf8" })).not.toContain(host.hostAddress);
  });

  testUnless(missingNetwork("nft"), "loses packets as told", async () => {
    const { host, socket, received } = await startEcho();
    host.loss(100);
    socket.write("a");
    await delay(300);
    expect(received()).toBe("");
    host.loss(20);
    await eventually(() => received() === "a");
    host.loss(0);
    socket.write("b");
    await eventually(() => received() === "ab");
  });
});

/** Starts an echo server in a host and connects to it. */
async function startEcho(): Promise<{
  host: Host;
  socket: Socket;
  received: () => string;
  exited: ReturnType<typeof exitOf>;
}> {
  const host = createHost("echo");
  closers.push(host.close);
  const child = host.run(process.execPath, ["-e", echo, host.address], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  const exited = exitOf(child);
  await once(child.stdout as NodeJS.ReadableStream, "data");
  const socket = connect(7_000, host.address);
  closers.push(() => socket.destroy());
  let text = "";
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    text += chunk;
  });
  await once(socket, "connect");
  return { host, socket, received: () => text, exited };
}
