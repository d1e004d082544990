import { resolve } from "node:path";
import { logVerbosity, setLogVerbosity } from "@grpc/grpc-js";
import { defineCommand } from "citty";
import { type Config, loadConfig } from "../config.ts";
import { failPointsIgnored, failPointsVariable, testBuildFlag } from "../fail-points.ts";
import { type RunningServer, startServer } from "../server.ts";
import { createLogger, type Logger } from "../telemetry/logger.ts";
import { fail } from "./errors.ts";
import { settingArgs, settingOptions } from "./setting-args.ts";
import { logStatusOnSignal } from "./status.ts";

/** `parlance serve`: runs the service until it is told to stop. */
export const serveCommand = defineCommand({
  meta: { name: "serve", description: "Run the chat service until SIGTERM or SIGINT." },
  args: settingArgs,
  async run({ args }) {
    const config = loadConfig({ options: settingOptions(args), file: args["config"] as string | undefined });
    const log = createLogger(config);
    if (failPointsIgnored)
      log.warn({}, `${failPointsVariable} is ignored: it is for test builds, node ${testBuildFlag}`);
    const server = await start(config, log);
    logStatusOnSignal(server, log);
    process.stdout.write(greeting(config, server));
    log.info(
      {
        address: server.address,
        httpAddress: server.httpAddress,
        dataFile: server.dataFile,
        auth: config.auth,
      },
      "serving",
    );
    process.exitCode = await untilStopped(server, config, log);
  },
});

async function start(config: Config, log: Logger): Promise<RunningServer> {
  // grpc-js says by itself, in a line of its own, what is said here in words.
  setLogVerbosity(logVerbosity.NONE);
  try {
    return await startServer(config, log);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE" || message.includes("EADDRINUSE")) {
      const isHttp = (error as { port?: number }).port === config.httpPort;
      const taken = `port ${isHttp ? config.httpPort : config.port} of ${config.host} is taken`;
      const wayOut = isHttp
        ? "--http-port or PARLANCE_HTTP_PORT, or leave HTTP out with --no-http"
        : "--port or PARLANCE_PORT";
      fail(taken, `stop what listens there, or choose another with ${wayOut}`, error);
    }
    fail(`the service cannot start: ${message}`, "docs/settings.md explains each setting", error);
  }
}

/** Resolves with the exit code once the first signal has stopped the server. A second signal exits at once. */
function untilStopped(server: RunningServer, config: Config, log: Logger): Promise<number> {
  return new Promise((resolveWith) => {
    let stopping = false;
    function stop(signal: NodeJS.Signals): void {
      if (stopping) {
        log.warn({ signal }, "second signal, stopping at once");
        process.exit(1);
      }
      stopping = true;
      log.info({ signal, graceMs: config.drainGraceMs }, "stopping");
      server.close().then(
        () => {
          log.info({}, "stopped");
          resolveWith(0);
        },
        (err) => {
          log.error({ err }, "stopping failed");
          resolveWith(1);
        },
      );
    }
    process.on("SIGTERM", stop);
    process.on("SIGINT", stop);
  });
}

/** What a person sees first: where it is, where data lies, and three calls to try. */
function greeting(config: Config, { address, httpAddress, dataFile }: RunningServer): string {
  const scheme = config.tlsCertFile === undefined ? "http" : "https";
  const call = `npx buf curl --http2-prior-knowledge --protocol grpc`;
  const base = `${scheme}://${address}/parlance.chat.v1.ChatService`;
  const login = config.auth === "dev" ? `{"dev_user_id":"alice"}` : `{"token":"<JWT>"}`;
  return `Parlance listens on ${address} (gRPC, ${scheme === "http" ? "plain text" : "TLS"}, auth: ${config.auth}).
${httpAddress === undefined ? "" : `Browsers and curl find it at ${scheme}://${httpAddress} (docs/http.md).\n`}Its data is in ${resolve(dataFile)}.

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
