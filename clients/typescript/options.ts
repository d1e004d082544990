import { checked, invalidArgument, numberOf } from "./arguments.ts";
import type { ConnectOptions } from "./client.ts";

/**
 * Checks what a client is made with, as far as no call does.
 *
 * @throws ParlanceError INVALID_REQUEST, naming the option
 */
export function checkOptions(options: ConnectOptions): void {
  checked("options", () => {
    const { credentials, onEvent, device, backoff = {}, eventKinds = [] } = options;
    if (typeof credentials !== "object" || credentials === null)
      throw invalidArgument({ field: "credentials", description: "must be an object" });
    if ("getToken" in credentials && typeof credentials.getToken !== "function")
      throw invalidArgument({ field: "credentials.getToken", description: "must be a function" });
    if (onEvent !== undefined && typeof onEvent !== "function")
      throw invalidArgument({ field: "onEvent", description: "must be a function" });
    if (device !== undefined && (typeof device !== "object" || device === null))
      throw invalidArgument({ field: "device", description: "must be an object" });
    if (!Array.isArray(eventKinds))
      throw invalidArgument({ field: "eventKinds", description: "must be an array" });
    for (const name of ["deadlineMs", "connectTimeoutMs", "replayLimit"] as const)
      if (options[name] !== undefined) numberOf(name, options[name]);
    if (options.maxWaitingEvents !== undefined) numberOf("maxWaitingEvents", options.maxWaitingEvents, 1);
    for (const name of ["baseMs", "capMs"] as const)
      if (backoff[name] !== undefined) numberOf(`backoff.${name}`, backoff[name]);
  });
}
