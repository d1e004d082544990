import { type Client, createClientFactory, Metadata } from "nice-grpc";
import { callMiddleware } from "../../clients/typescript/calls.ts";
import { createTransport, ErrorReason, ParlanceError, Status } from "../../clients/typescript/index.ts";
import { Line } from "../../clients/typescript/line.ts";
import { AdminService } from "../../gen/parlance/admin/v1/admin_service_pb.js";
import { type RpcDefinition, toDefinition } from "../../wire/definition.ts";
import { fail } from "./errors.ts";

/** The calls of `AdminService`. They reject with a `ParlanceError`. */
export type AdminClient = Client<RpcDefinition<typeof AdminService>>;

/** Nodes have up to two seconds to answer the one that is asked. */
const deadlineMs = 5_000;

/** Does something with the admin port of a service, and ends the command with one line when that refuses or is not there. */
export async function withAdmin<T>(
  { address, token }: { address: string; token: string | undefined },
  run: (admin: AdminClient) => Promise<T>,
): Promise<T> {
  const line = new Line(createTransport({ address }));
  const closed = new AbortController();
  const settings = { line, deadlineMs, attemptMs: deadlineMs, closed: closed.signal };
  const metadata = token === undefined ? Metadata() : Metadata({ authorization: `Bearer ${token}` });
  const admin = createClientFactory()
    .use(callMiddleware(settings))
    .create(toDefinition(AdminService), line.channel, { "*": { metadata } });
  try {
    return await run(admin);
  } catch (error) {
    if (!(error instanceof ParlanceError)) throw error;
    fail(...explain(error, address), error);
  } finally {
    closed.abort();
    line.close();
  }
}

/** Says what is wrong and the way out. */
function explain(error: ParlanceError, address: string): [message: string, wayOut: string] {
  switch (error.reason) {
    case ErrorReason.MISSING_TOKEN:
    case ErrorReason.INVALID_TOKEN:
      return [
        `${address} refuses the token: ${error.message}`,
        "set PARLANCE_ADMIN_TOKEN as the server has it",
      ];
    case ErrorReason.NODE_NOT_FOUND:
      return [error.message, "`parlance admin nodes` lists those that do"];
  }
  if (error.code === Status.UNAVAILABLE || error.code === Status.DEADLINE_EXCEEDED)
    return [
      `no admin port of Parlance at ${address}`,
      "start the service with --admin-port, or say where it is with --server",
    ];
  if (error.code === Status.UNIMPLEMENTED)
    return [`${address} is no admin port`, "give the port of --admin-port with --server"];
  const [violation] = error.violations;
  const what = violation ? `${violation.field}: ${violation.description}` : error.message;
  return [`${address} refused: ${what}`, "docs/errors.md explains each reason"];
}
