import { defineCommand } from "citty";
import { ClientError, createChannel, createClient, Status } from "nice-grpc";
import {
  Health,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/grpc/health/v1/health_pb.js";
import { toDefinition } from "../../wire/definition.ts";
import { fail } from "./errors.ts";
import { serverArg } from "./options.ts";

/** How long the answer may take, in milliseconds; for a script or a container engine that asks often. */
const timeoutMs = 3_000;

/** `parlance health`: asks a server whether it takes calls; the exit code is 0 if so and 1 otherwise. */
export const healthCommand = defineCommand({
  meta: { name: "health", description: "Ask whether a server takes calls; exits with 0 if so." },
  args: {
    json: { type: "boolean", description: "Print one JSON object." },
    ...serverArg,
  },
  async run({ args: { server, json } }) {
    const { status, error } = await checkHealth(server);
    if (json) {
      const told = { server, status, ...(error && { error: error.message }) };
      process.stdout.write(`${JSON.stringify(told)}\n`);
    } else if (error) {
      fail(
        `${server} does not tell its health: ${error.message}`,
        "start it, or say where it is with --server",
        error,
      );
    } else {
      process.stdout.write(`${server} is ${status}\n`);
    }
    if (status !== "SERVING") process.exitCode = 1;
  },
});

/** The answer of `grpc.health.v1` for the server as a whole, or `UNREACHABLE` and why. */
async function checkHealth(server: string): Promise<{ status: string; error?: ClientError }> {
  const channel = createChannel(server);
  const health = createClient(toDefinition(Health), channel);
  try {
    const { status }: HealthCheckResponse = await health.check(
      { service: "" },
      { signal: AbortSignal.timeout(timeoutMs) },
    );
    return { status: ServingStatus[status] ?? String(status) };
  } catch (thrown) {
    return { status: "UNREACHABLE", error: asClientError(thrown) };
  } finally {
    channel.close();
  }
}

/** The signal's abort is what a deadline would have been. */
function asClientError(thrown: unknown): ClientError {
  if (thrown instanceof ClientError) return thrown;
  return new ClientError(
    "/grpc.health.v1.Health/Check",
    Status.DEADLINE_EXCEEDED,
    `no answer in ${timeoutMs} ms`,
  );
}
