import cluster from "node:cluster";
import { resolve } from "node:path";
import { setFlagsFromString } from "node:v8";
import { logVerbosity, setLogVerbosity } from "@grpc/grpc-js";
import { defineCommand } from "citty";
import { type Config, loadConfig, visibleSecrets } from "../config/config.ts";
import { failPointsIgnored, failPointsVariable, testBuildFlag } from "../fail-points.ts";
import { type RunningServer, startServer } from "../host/server.ts";
import { createLogger, type Logger, landmarks } from "../telemetry/logger.ts";
import { CommandError, fail } from "./errors.ts";
import { settingArgs, settingOptions } from "./setting-args.ts";
import { logStatusOnSignal } from "./status.ts";
import { onStopSignals } from "./stop-signals.ts";
import { unexpectedExitCode, watchUnexpected } from "./unexpected.ts";
import { beWorker, runWorkers, type WorkerPlace, workersOf } from "./workers.ts";

/** `parlance serve`: runs the service until it is told to stop. */
export const serveCommand = defineCommand({
  meta: { name: "serve", description: "Run the chat service until SIGTERM or SIGINT." },
  args: settingArgs,
  async run({ args }) {
    // grpc-js says by itself, in a line of its own, what is said here in words.
    setLogVerbosity(logVerbosity.NONE);
    if (cluster.isWorker) return beWorker(serveAsWorker);
    const options = settingOptions(args);
    const config = loadConfig({ options, file: args["config"] as string | undefined });
    const log = createLogger(config);
    for (const { option, message } of visibleSecrets(options)) log.warn({ option }, message);
    if (failPointsIgnored)
      log.warn({}, `${failPointsVariable} is ignored: it is for test builds, node ${testBuildFlag}`);
    const unexpected = watchUnexpected(log, config.drainGraceMs + closeGraceMs);
    const stop = AbortSignal.any([listenForSignals(config, log), unexpected]);
    const greet = (place: WorkerPlace) => void process.stdout.write(greeting(config, place));
    if (workersOf(config) > 1) process.exitCode = await runWorkers(config, log, stop, greet);
    else await serve(config, log, stop, greet);
    if (unexpected.aborted) process.exitCode = unexpectedExitCode;
  },
});

/** How long a process that has to leave may take after its sessions were sent away, in milliseconds. */
const closeGraceMs = 5_000;

/**
 * Keeps V8 from putting what a message needs among the old objects at once,
 * because such objects lived long while the server was overloaded. There they
 * would keep every later message from the quick collections, until the next
 * full one.
 */
const noPretenuring = "--no-allocation-site-pretenuring";

async function serveAsWorker(config: Config, stop: AbortSignal, onServing: (place: WorkerPlace) => void) {
  const log = createLogger(config).child({ worker: config.node });
  const unexpected = watchUnexpected(log, config.drainGraceMs + closeGraceMs);
  await serve(config, log, AbortSignal.any([stop, unexpected]), onServing);
  if (unexpected.aborted) process.exitCode = unexpectedExitCode;
}

/**
 * Serves until `stop` is aborted.
 *
 * @param onServing called once the service takes calls
 * @throws CommandError when the service cannot start or go on
 */
async function serve(
  config: Config,
  log: Logger,
  stop: AbortSignal,
  onServing: (server: WorkerPlace) => void,
): Promise<void> {
  setFlagsFromString(noPretenuring);
  const server = await start(config, log, stop);
  if (server === undefined) return;
  logStatusOnSignal(server, log);
  const { node, address, httpAddress, adminAddress, dataFile, database } = server;
  onServing({ address, httpAddress, adminAddress, dataFile, database });
  const data = database === undefined ? { dataFile } : { database };
  landmarks(log).info({ node, address, httpAddress, adminAddress, ...data, auth: config.auth }, "serving");
  await untilStopped(server, log, stop);
}

/** Starts the service; returns undefined when it was stopped before it served. */
async function start(config: Config, log: Logger, signal: AbortSignal): Promise<RunningServer | undefined> {
  try {
    return await startServer(config, log, { signal });
  } catch (error) {
    if (signal.aborted) {
      log.info({}, "stopped before it served");
      return undefined;
    }
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE" || message.includes("EADDRINUSE"))
      fail(...portTaken(config, error as Error), error);
    // Some errors know a better way out.
    const [what, ...wayOut] = message.split("; ");
    fail(
      `the service cannot start: ${what}`,
      wayOut.join("; ") || "docs/settings.md explains each setting",
      error,
    );
  }
}

function portTaken(config: Config, error: Error & { port?: number }): [message: string, wayOut: string] {
  const { host, port, httpPort, adminHost, adminPort } = config;
  const say = (taken: string, wayOut: string): [string, string] => [
    `port ${taken} is taken`,
    `stop what listens there, or choose another with ${wayOut}`,
  ];
  if (error.port === httpPort)
    return say(
      `${httpPort} of ${host}`,
      "--http-port or PARLANCE_HTTP_PORT, or leave HTTP out with --no-http",
    );
  if (adminPort !== undefined && new RegExp(`:${adminPort}\\b`).test(error.message))
    return say(`${adminPort} of ${adminHost}`, "--admin-port or PARLANCE_ADMIN_PORT");
  return say(`${port} of ${host}`, "--port or PARLANCE_PORT");
}

/** Hands the first signal on as an abort; the second exits at once. */
function listenForSignals(config: Config, log: Logger): AbortSignal {
  const controller = new AbortController();
  onStopSignals(
    ["SIGTERM", "SIGINT"],
    (signal) => {
      log.info({ signal, graceMs: config.drainGraceMs }, "stopping");
      controller.abort();
    },
    (signal) => {
      log.warn({ signal }, "second signal, stopping at once");
      process.exit(1);
    },
  );
  return controller.signal;
}

async function untilStopped(server: RunningServer, log: Logger, stop: AbortSignal): Promise<void> {
  const stopped = new Promise<undefined>((resolve) => {
    stop.addEventListener("abort", () => resolve(undefined));
    if (stop.aborted) resolve(undefined);
  });
  const failure = await Promise.race([stopped, server.failed]);
  if (failure !== undefined) log.error({ exitCode: failure.exitCode }, failure.message);
  try {
    await server.close();
    log.info({}, "stopped");
  } catch (err) {
    log.error({ err }, "stopping failed");
    process.exitCode = 1;
  }
  if (failure !== undefined) throw new CommandError(failure.message, failure.exitCode);
}

/** Returns the greeting that a person sees first: the address, the data folder and three calls to try. */
function greeting(
  config: Config,
  { address, httpAddress, adminAddress, dataFile, database }: WorkerPlace,
): string {
  const scheme = config.tlsCertFile === undefined ? "http" : "https";
  const call = `npx buf curl --http2-prior-knowledge --protocol grpc`;
  const path = config.httpBasePath === "/" ? "" : `${config.httpBasePath}/`;
  const base = `${scheme}://${address}/parlance.chat.v1.ChatService`;
  const login = config.auth === "dev" ? `{"dev_user_id":"alice"}` : `{"token":"<JWT>"}`;
  return `Parlance listens on ${address} (gRPC, ${scheme === "http" ? "plain text" : "TLS"}, auth: ${config.auth}).
${httpAddress === undefined ? "" : `Browsers and curl find it at ${scheme}://${httpAddress}${path} (docs/http.md).\n`}${adminAddress === undefined ? "" : `Operators find it at ${adminAddress} (\`parlance admin --help\`).\n`}Its data is in ${database ?? resolve(dataFile)}.

Three calls to try, each in a terminal of this folder:

  # Log in. Keep the session_token of the answer in the variable TOKEN.
  ${call} -d '${login}' ${base}/Login

  # See what happens, live.
  ${call} -H "authorization: Bearer $TOKEN" -d '{}' ${base}/Listen

  # Send a message.
  ${call} -H "authorization: Bearer $TOKEN" \\
    -d '{"recipient_id":"bob","content":{"text":{"body":"Hello"}}}' ${base}/SendDirect

Stop it with Ctrl-C.
`;
}
