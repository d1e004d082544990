import { type CallContext, ServerError, type ServiceImplementation, Status } from "nice-grpc";
import {
  type HealthCheckRequest,
  Health as HealthService,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/grpc/health/v1/health_pb.js";
import { type RpcDefinition, refuseUndecodable, toDefinition } from "../../wire/definition.ts";

export { ServingStatus };

/** The standard health service `grpc.health.v1` and what it tells. */
export interface Health {
  /** The definition for nice-grpc's `add`, which takes it with `implementation`. */
  definition: RpcDefinition<typeof HealthService>;
  implementation: ServiceImplementation<RpcDefinition<typeof HealthService>>;
  /** Sets every service and the server itself to SERVING or NOT_SERVING. */
  setServing(serving: boolean): void;
  /**
   * Sets the status of one service; `""` is the whole server.
   *
   * @throws RangeError when the service was not named at creation
   */
  setStatus(serviceName: string, status: ServingStatus): void;
  /** Ends the calls of those who watch, once they were told the last status: they would hold up a shutdown. */
  endWatches(): void;
}

/**
 * Makes the health service. Everything is NOT_SERVING until told otherwise.
 *
 * @param serviceNames full names, such as `parlance.chat.v1.ChatService`; the server itself, `""`, is always there
 */
export function createHealth(serviceNames: readonly string[]): Health {
  const statuses = new Map(["", ...serviceNames].map((name) => [name, ServingStatus.NOT_SERVING]));
  const waiting = new Set<() => void>();
  let ended = false;

  /** Resolves at the next change or when the signal aborts, and leaves nothing behind. */
  function changeOrAbort(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      function wake() {
        waiting.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      }
      waiting.add(wake);
      signal.addEventListener("abort", wake);
      if (signal.aborted) wake();
    });
  }

  function set(names: Iterable<string>, status: ServingStatus): void {
    for (const name of names) statuses.set(name, status);
    for (const wake of [...waiting]) wake();
  }

  return {
    definition: toDefinition(HealthService),
    implementation: {
      async check(request) {
        refuseUndecodable(request);
        const status = statuses.get(request.service);
        if (status === undefined) throw new ServerError(Status.NOT_FOUND, "unknown service");
        return { status };
      },

      // A reader that is slow misses what is no longer true, not what is.
      async *watch(request: HealthCheckRequest, { signal }: CallContext) {
        refuseUndecodable(request);
        let sent: ServingStatus | undefined;
        while (!signal.aborted) {
          const status = statuses.get(request.service) ?? ServingStatus.SERVICE_UNKNOWN;
          if (status === sent) {
            if (ended) return;
            await changeOrAbort(signal);
          } else {
            sent = status;
            yield { status };
          }
        }
      },

      async list(request) {
        refuseUndecodable(request);
        return { statuses: Object.fromEntries([...statuses].map(([name, status]) => [name, { status }])) };
      },
    },

    setServing(serving) {
      set([...statuses.keys()], serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING);
    },

    endWatches() {
      ended = true;
      for (const wake of [...waiting]) wake();
    },

    setStatus(serviceName, status) {
      if (!statuses.has(serviceName)) throw new RangeError(`health knows no service ${serviceName}`);
      set([serviceName], status);
    },
  };
}
