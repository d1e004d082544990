import { readFile } from "node:fs/promises";
import { basename, extname } from "node:path";
import { defineCommand } from "citty";
import { connect, createTransport } from "../../../clients/typescript/index.ts";
import { fail, failUsage } from "../errors.ts";
import { connectTimeoutMs, withServer } from "../options.ts";
import { createProgress, type Progress } from "../progress.ts";
import { liveDay } from "./day.ts";
import { type EmbeddedServer, startEmbeddedServer } from "./embedded-server.ts";
import { newRunId } from "./ids.ts";
import { type IrcDay, parseIrcDay } from "./irc.ts";
import { Latencies } from "./latencies.ts";
import type { Tally } from "./ledger.ts";
import { formatReport, isClean, type ReplayReport } from "./report.ts";

/** `parlance replay`: lives recorded days through the service and checks every delivery. */
export const replayCommand = defineCommand({
  meta: {
    name: "replay",
    description: "Live recorded days of IRC through the service and check that nothing is lost.",
  },
  args: {
    file: {
      type: "positional",
      required: true,
      valueHint: "file...",
      description: "Logs of a channel, one file a day.",
    },
    server: {
      type: "string",
      alias: "address",
      valueHint: "host:port,...",
      description:
        "A server in dev mode, or several nodes of one service, over which users are spread. By default a server is started, on a store that is thrown away.",
    },
    speed: {
      type: "string",
      default: "max",
      valueHint: "max|N",
      description: "`max`: as fast as the service answers. N: that many times faster than recorded.",
    },
    silence: {
      type: "string",
      default: "10",
      valueHint: "seconds",
      description: "How long to wait for deliveries at the end of a day while none comes.",
    },
    json: { type: "boolean", description: "Print the result as one JSON object." },
  },
  async run({ args }) {
    const speed =
      args.speed === "max" ? undefined : positive(args.speed, "--speed", "it is `max` or a number above 0");
    const silenceMs = positive(args.silence, "--silence", "it is a number of seconds above 0") * 1000;
    const days = await Promise.all(args._.map(readDay));
    const progress = createProgress(process.stderr);
    const report = await runReplay(days, { address: args.server, speed, silenceMs, progress });
    process.stdout.write(`${args.json ? JSON.stringify(report) : formatReport(report)}\n`);
    if (!isClean(report)) process.exitCode = 1;
  },
});

/** A day and its name. */
export interface NamedDay {
  name: string;
  day: IrcDay;
}

/** How to replay. */
export interface ReplayOptions {
  /** The server, or several nodes of one service with commas between them; undefined to start one. */
  address?: string | undefined;
  /** How many times faster than recorded; undefined for as fast as the service answers. */
  speed?: number | undefined;
  /** How long to wait for deliveries while none comes, in milliseconds. By default 10,000. */
  silenceMs?: number;
  progress?: Progress;
}

/** Clients that share a connection. A server takes 100 streams on one, and calls need some. */
const clientsPerConnection = 40;

/**
 * Lives days one after another.
 *
 * @throws CommandError when the server cannot be reached
 */
export async function runReplay(
  days: readonly NamedDay[],
  options: ReplayOptions = {},
): Promise<ReplayReport> {
  const { speed, silenceMs = 10_000, progress } = options;
  const embedded = options.address === undefined ? await startEmbeddedServer() : undefined;
  try {
    const address = options.address ?? (embedded as EmbeddedServer).address;
    const transport = createTransport({ address, clientsPerConnection });
    const tally: Tally = { expected: 0, received: 0, duplicated: 0, outOfOrder: 0, contentMismatches: 0 };
    const latencies = new Latencies();
    const runId = newRunId();
    const totals = { users: 0, groupMessages: 0, directMessages: 0, missing: 0 };
    const startMs = performance.now();

    for (const each of address.split(",")) await withServer(each, () => reach(each));
    for (const { name, day } of days) {
      progress?.begin(name, day.steps.length);
      const onStep = () => progress?.step();
      const counts = await withServer(address, () =>
        liveDay(day, { name, runId, transport, speed, silenceMs, tally, latencies, onStep }),
      );
      totals.users += counts.users;
      totals.groupMessages += counts.groupMessages;
      totals.directMessages += counts.directMessages;
      totals.missing += counts.missing;
      progress?.end(summaryOf(day, counts));
    }

    const elapsedSeconds = (performance.now() - startMs) / 1000;
    return {
      users: totals.users,
      group_messages: totals.groupMessages,
      direct_messages: totals.directMessages,
      deliveries_expected: tally.expected,
      deliveries_received: tally.received,
      missing: totals.missing,
      duplicated: tally.duplicated,
      out_of_order: tally.outOfOrder,
      content_mismatches: tally.contentMismatches,
      elapsed_seconds: rounded(elapsedSeconds),
      deliveries_per_second: Math.round(tally.received / elapsedSeconds),
      p50_ms: rounded(latencies.percentile(0.5)),
      p99_ms: rounded(latencies.percentile(0.99)),
    };
  } finally {
    await embedded?.close();
  }
}

/** Finds out at once, rather than after all patience, that there is no server. */
async function reach(address: string): Promise<void> {
  const client = await connect({
    address,
    credentials: { devUserId: "replay" },
    stream: false,
    connectTimeoutMs,
  });
  await client.close();
}

async function readDay(file: string): Promise<NamedDay> {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) =>
    fail(`${file} cannot be read (${error.code})`, "give the paths of IRC logs", error),
  );
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    fail(`${file} is not UTF-8`, "convert it first, for example with iconv", error);
  }
  const day = parseIrcDay(text);
  if (day.steps.length === 0) fail(`${file} holds no line of IRC`, "lines look like `[12:34] <nick> text`");
  return { name: basename(file, extname(file)), day };
}

function summaryOf(day: IrcDay, counts: Awaited<ReturnType<typeof liveDay>>): string {
  const parts = [
    `${counts.users} users`,
    `${counts.groupMessages} to the group`,
    `${counts.directMessages} direct`,
  ];
  if (counts.missing > 0) parts.push(`${counts.missing} missing`);
  if (counts.reconnects > 0) parts.push(`${counts.reconnects} reconnects`);
  if (counts.repeats > 0) parts.push(`${counts.repeats} repeats held back`);
  if (day.skipped > 0) parts.push(`${day.skipped} empty lines left out`);
  return parts.join(", ");
}

function positive(text: string, option: string, wayOut: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) failUsage(`${option} is ${text}`, wayOut);
  return value;
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
