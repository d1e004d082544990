/** Faults of the way between a client and its server. */

import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as dial } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../../support/eventually.ts";
import { exitOf } from "../../support/serve-child.ts";
import type { Violation } from "../checker/violation.ts";
import type { ChatClient } from "../clients/chat-client.ts";
import { RawClient } from "../clients/raw-client.ts";
import { SdkClient } from "../clients/sdk-client.ts";
import { SdkProcess } from "../clients/sdk-process.ts";
import type { FaultContext } from "../context.ts";
import { directMessage } from "../direct-message.ts";
import { missingCommand, missingRoot } from "../disturb/needs.ts";
import type { Fault } from "../fault.ts";
import { ms } from "../figures.ts";
import type { FaultServerOptions } from "../server.ts";

/** A proxy that many people have, as it comes. */
export const nginxInFront: Fault = {
  id: "N10",
  name: "nginx",
  title: "nginx in front with its timeouts of 60 s, and streams on which nothing happens",
  figureTitle: "streams opened again by the SDK and by clients that send no pings",
  ci: false,
  missing: () => missingCommand("nginx"),
  async run(context) {
    const violations: Violation[] = [];
    const idleMs = context.scale(5_000, 75_000);
    // Once with the server's own questions whether the connection lives, once without.
    const args = ["--keepalive-time-ms", "7200000", "--keepalive-idle-time-ms", "7200000"];
    const [asking, silent] = await Promise.all([
      idleBehindNginx(context, {}, idleMs),
      idleBehindNginx(context, { args }, idleMs),
    ]);
    if (context.mode === "full" && silent.raw === 0)
      violations.push({ rule: "run", text: "nginx ended no stream: its timeouts were not met" });
    violations.push(...asking.violations, ...silent.violations);
    return {
      rounds: 2,
      violations,
      figure: `after ${ms(idleMs)} of silence, ${asking.figure}; without the server's keepalive, ${silent.figure}`,
    };
  },
};

const serverName = "chat.parlance.test";

/** A name that leads elsewhere now. */
export const addressChange: Fault = {
  id: "N12",
  name: "address-change",
  title:
    "the name's first address, of IPv6, is closed; then the server moves to another address behind the name",
  figureTitle: "time until connected, time until resumed after the name was changed",
  ci: false,
  missing: () => missingRoot() ?? missingCommand("unshare"),
  async run(context) {
    const violations: Violation[] = [];
    const server = await context.serve();
    const names = new Names(["::1", "127.0.0.1"]);
    context.defer(() => names.close());
    const address = `${serverName}:${server.port}`;
    const clients = Array.from({ length: 4 }, (_, n) => new SdkProcess(address, `mover-${n}`, names.wrapper));
    for (const client of clients) context.defer(() => client.close());
    const startMs = performance.now();
    await Promise.all(clients.map((client) => client.start()));
    const connectedMs = performance.now() - startMs;

    const homes = ["127.0.0.2", "::1", "127.0.0.3"];
    const times: number[] = [];
    let expected = 0;
    for (const home of homes) {
      await server.kill();
      names.set([home]);
      await server.start({ host: home });
      const fromMs = performance.now();
      const answers = clients.map((client, n) =>
        client.perform(directMessage((clients[(n + 1) % clients.length] as ChatClient).userId)),
      );
      violations.push(...(await arrived(clients, ++expected)));
      await Promise.all(answers);
      times.push(performance.now() - fromMs);
    }
    for (const client of clients) await client.close();
    violations.push(
      ...(await context.conclude(server, { histories: clients.map(({ history }) => history) })),
    );
    return {
      rounds: homes.length,
      violations,
      figure: `with ::1 closed, processes were connected after ${ms(connectedMs)}; after a move everything answered and delivered in ${times.map(ms).join(", ")}`,
    };
  },
};

/** What names mean to processes of one's own: a hosts file that covers the system's. */
class Names {
  readonly #directory = mkdtempSync(join(tmpdir(), "parlance-names-"));
  /** What to put before a command. It becomes the command. */
  readonly wrapper: readonly string[];

  constructor(addresses: readonly string[]) {
    this.set(addresses);
    const mount = `mount --bind "$0" /etc/hosts && exec "$@"`;
    this.wrapper = ["unshare", "--mount", "sh", "-c", mount, this.#file];
  }

  /** Has the server's name mean these addresses, the first one first. */
  set(addresses: readonly string[]): void {
    writeFileSync(this.#file, addresses.map((address) => `${address} ${serverName}\n`).join(""));
  }

  close(): void {
    rmSync(this.#directory, { recursive: true });
  }

  get #file(): string {
    return join(this.#directory, "hosts");
  }
}

/** Has clients wait behind nginx, then write to each other. */
async function idleBehindNginx(context: FaultContext, options: FaultServerOptions, idleMs: number) {
  const { random } = context;
  const server = await context.serve(options);
  const address = await startNginx(context, server.address);
  const sdk = Array.from({ length: 5 }, (_, n) => new SdkClient({ address, userId: `sdk-${n}` }));
  const raw = Array.from({ length: 5 }, (_, n) => new RawClient({ address, userId: `raw-${n}`, random }));
  const clients = [...sdk, ...raw];
  for (const client of clients) {
    context.defer(() => client.close());
    await client.start();
  }
  await delay(idleMs);
  const fromMs = performance.now();
  const answers = clients.map((client, n) =>
    client.perform(directMessage((clients[(n + 1) % clients.length] as ChatClient).userId)),
  );
  const violations = await arrived(clients, 1);
  await Promise.all(answers);
  const tookMs = performance.now() - fromMs;
  const [ofSdk, ofRaw] = [sdk, raw].map((some: ChatClient[]) =>
    some.reduce((sum, client) => sum + client.reconnects, 0),
  );
  for (const client of clients) await client.close();
  const histories = clients.map(({ history }) => history);
  violations.push(...(await context.conclude(server, { histories })));
  return {
    raw: ofRaw ?? 0,
    violations,
    figure: `${ofSdk} of 5 streams of the SDK and ${ofRaw} of 5 without pings were opened again, and everything was answered and delivered in ${ms(tookMs)}`,
  };
}

/** Starts nginx with nothing set that does not have to be. */
async function startNginx(context: FaultContext, target: string): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "parlance-nginx-"));
  context.defer(() => rmSync(directory, { recursive: true }));
  mkdirSync(join(directory, "logs"));
  const port = await context.freePort();
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  writeFileSync(
    join(directory, "nginx.conf"),
    `daemon off;
user root;
pid ${directory}/nginx.pid;
error_log stderr crit;
events {}
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${directory}/${name};`).join("\n  ")}
  server {
    listen 127.0.0.1:${port} http2;
    location / { grpc_pass grpc://${target}; }
  }
}
`,
  );
  const child = spawn("nginx", ["-p", directory, "-c", join(directory, "nginx.conf")], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const exited = exitOf(child);
  context.defer(async () => {
    child.kill("SIGTERM");
    await exited;
  });
  await eventually(() => isOpen(port));
  return `127.0.0.1:${port}`;
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = dial(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

/** Waits until everyone got so many messages of others. */
async function arrived(clients: readonly ChatClient[], count: number): Promise<Violation[]> {
  const got = ({ history, userId }: ChatClient) =>
    history.entries.filter(
      (entry) =>
        (entry.type === "shown" || entry.type === "event") &&
        entry.event.kind === "message" &&
        entry.event.senderId !== userId,
    ).length;
  await eventually(() => clients.every((client) => got(client) >= count), 60_000).catch(() => {});
  return clients
    .filter((client) => got(client) < count)
    .map(({ userId }) => ({ rule: "I12", text: `${userId} did not get what was sent to it within 60 s` }));
}
