/** Faults of what the system gives a process. */

import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { connect as dial } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../../support/eventually.ts";
import { makeDataDir } from "../../support/serve-child.ts";
import type { Violation } from "../checker/violation.ts";
import { RawClient } from "../clients/raw-client.ts";
import { missingCommand } from "../disturb/needs.ts";
import type { Fault } from "../fault.ts";
import { ms, percentile } from "../figures.ts";

/** The server needs about 50 for itself, most for its threads. The storm takes 12, and 10 or so are left for the crowd. */
const fileLimit = 72;

const fewFiles: Fault = {
  id: "R1",
  name: "few-files",
  title: `the server may open ${fileLimit} files, and more clients come than that`,
  figureTitle: "clients served meanwhile, after the others left",
  ci: true,
  missing: () => missingCommand("prlimit"),
  async run(context) {
    const server = await context.serve({ wrapper: ["prlimit", `--nofile=${fileLimit}`] });
    const storm = await context.storm({ address: server.address, sdk: 6, raw: 6, groups: 2, perSecond: 50 });
    const crowd = Array.from(
      { length: 80 },
      (_, n) => new RawClient({ address: server.address, userId: `crowd-${n}`, random: context.random }),
    );
    context.defer(async () => void (await Promise.all(crowd.map((client) => client.close()))));
    for (const client of crowd) void client.start();
    await delay(context.scale(3_000, 10_000));
    const { sessions } = await server.status();
    const served = crowd.filter(({ live }) => live).length;
    const before = storm.acknowledged;
    await delay(1_000);
    const violations: Violation[] = [];
    if (served === crowd.length)
      violations.push({ rule: "run", text: "all clients found a place: there was no want of files" });
    if (storm.acknowledged === before)
      violations.push({ rule: "I12", text: "nobody was served while files were wanting" });
    // Room again: those who were turned away get in.
    const [stay, leave] = [crowd.slice(0, 10), crowd.slice(10)];
    for (const client of leave) await client.close();
    await eventually(() => stay.every(({ live }) => live), 20_000).catch(() =>
      violations.push({ rule: "I12", text: "who waited for a place did not get in when there was room" }),
    );
    for (const client of stay) await client.close();
    await delay(200);
    violations.push(...(await context.conclude(server)));
    return {
      rounds: 1,
      violations,
      figure: `${served} of ${crowd.length} found a place (${sessions} sessions); ${storm.acknowledged - before} messages/s served meanwhile; afterwards everyone`,
    };
  },
};

const silentPeers: Fault = {
  id: "R2",
  name: "silent-peers",
  title: "200 connections without a byte, and 200 that say HTTP/2 and nothing else",
  figureTitle: "connections closed, after how long",
  ci: true,
  async run(context) {
    const count = 200;
    const args =
      context.mode === "ci" ? ["--keepalive-time-ms", "2000", "--keepalive-timeout-ms", "1000"] : [];
    const server = await context.serve({ args });
    const storm = await context.storm({ address: server.address, sdk: 10, raw: 10, perSecond: 100 });
    const fromMs = performance.now();
    const closedMs: number[] = [];
    const sockets = Array.from({ length: 2 * count }, (_, n) => {
      const socket = dial(server.port, "127.0.0.1");
      socket.on("error", () => {});
      socket.on("close", () => closedMs.push(performance.now() - fromMs));
      // The preface of RFC 9113 with empty SETTINGS. What comes is read and not answered.
      if (n % 2 === 1) socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "latin1");
      socket.resume();
      return socket;
    });
    context.defer(() => {
      for (const socket of sockets) socket.destroy();
    });
    await eventually(() => closedMs.length === sockets.length, 30_000).catch(() => {});
    const violations: Violation[] = [];
    if (closedMs.length < sockets.length)
      violations.push({
        rule: "I11",
        text: `${sockets.length - closedMs.length} silent connections are open`,
      });
    if (storm.reconnects > 0)
      violations.push({ rule: "I12", text: `${storm.reconnects} streams of others ended meanwhile` });
    const figure = `${closedMs.length} of ${sockets.length} closed, after ${ms(percentile(closedMs, 0))} to ${ms(Math.max(...closedMs))}`;
    violations.push(...(await context.conclude(server)));
    return { rounds: sockets.length, violations, figure };
  },
};

const blockedLog: Fault = {
  id: "R3",
  name: "blocked-log",
  title: "nobody takes the lines of the log any more",
  figureTitle: "messages per second before and meanwhile",
  ci: false,
  missing: () => missingCommand("mkfifo"),
  async run(context) {
    const data = makeDataDir();
    context.defer(data.remove);
    const fifo = join(data.path, "log");
    execFileSync("mkfifo", [fifo]);
    // Held open for reading, and never read.
    const reader = openSync(fifo, constants.O_RDWR);
    context.defer(() => closeSync(reader));
    const server = await context.serve({
      wrapper: ["sh", "-c", `exec "$@" 2>${fifo}`, "sh"],
      args: ["--log-level", "info", "--log-calls", "all"],
    });
    const storm = await context.storm({ address: server.address });
    const rate = async () => {
      const before = storm.acknowledged;
      await delay(context.scale(3_000, 10_000));
      return Math.round((storm.acknowledged - before) / context.scale(3, 10));
    };
    const before = await rate();
    // More lines than a pipe and what may wait in the server hold.
    await delay(context.scale(1_000, 30_000));
    const meanwhile = await rate();
    const violations: Violation[] = [];
    if (meanwhile < before / 2)
      violations.push({ rule: "I12", text: `${before} messages/s before, ${meanwhile} with a blocked log` });
    // A process does not end while what it wrote last is not taken: SIGTERM alone would wait for the reader.
    violations.push(...(await context.conclude(server, { statusless: true, leave: true })));
    return {
      rounds: 1,
      violations,
      figure: `${before} messages/s at first, ${meanwhile} after the pipe was full; ${storm.reconnects} reconnects`,
    };
  },
};

/** Faults of what the system gives a process. */
export const resourcesFaults: readonly Fault[] = [fewFiles, silentPeers, blockedLog];
