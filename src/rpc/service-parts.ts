import type { Chat } from "../chat/chat.ts";
import type { Sends } from "../chat/sends.ts";
import type { Logger } from "../model/logger.ts";
import type { CallHandles } from "../net/call-handles.ts";
import type { FairReads } from "./fair-reads.ts";
import type { LoginLimits } from "./login-limits.ts";
import type { takeRateOfRequests } from "./rpc-rates.ts";
import type { UnreadAnswers } from "./unread-answers.ts";
import type { RequestValidator } from "./validation.ts";

/** The parts that the services are built from. */
export interface ServiceOptions {
  chat: Chat;
  loginLimits: LoginLimits;
  validator: RequestValidator;
  log: Logger;
  /** Has users read in turn; shared by all ports. */
  reads: FairReads;
  /** Counts what callers have not read of their answers; shared by all ports. */
  unread: UnreadAnswers;
  /** The calls of the server, to end those whose reader does not read. Without it such a call ends with its connection. */
  handles?: Pick<CallHandles, "get"> | undefined;
}

/** The parts that all calls of the services share. */
export interface ServiceParts extends ServiceOptions {
  /** Sends whose new conversations and bytes are counted. */
  sends: Sends;
  /** Counts the requests of streams. */
  takeRequest: ReturnType<typeof takeRateOfRequests>;
}
