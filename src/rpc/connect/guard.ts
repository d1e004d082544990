import { Code, ConnectError } from "@connectrpc/connect";
import { v7 as uuidv7 } from "uuid";
import type { Logger } from "../../model/logger.ts";
import { failureFacts } from "../../telemetry/failure-facts.ts";
import type { HttpRequest, HttpResponse } from "./http-call.ts";
import { refuse } from "./response.ts";

/**
 * Wraps what answers requests so that nothing it throws goes further: the
 * request is answered with 500 and an id under which the log has the cause, and
 * the process goes on.
 *
 * @returns answers as `answer` does, and true when that threw
 */
export function guarded<R>(
  answer: (request: HttpRequest, response: HttpResponse) => R,
  log: Logger,
): (request: HttpRequest, response: HttpResponse) => R | true {
  return (request, response) => {
    try {
      return answer(request, response);
    } catch (error) {
      const errorId = uuidv7();
      log.error({ errorId, ...failureFacts(error) }, "request failed");
      if (response.headersSent) response.destroy();
      else {
        const message = `unexpected error of the server; its log has the cause under ${errorId}`;
        refuse(request, response, new ConnectError(message, Code.Internal), 500);
      }
      return true;
    }
  };
}
