import type { Case } from "../lib/context.ts";
import { catchUp } from "./catch-up.ts";
import { directStore, directStream } from "./direct-stream.ts";
import { directUnary } from "./direct-unary.ts";
import { bigGroup, fanOutIdle, fanOutLoad, fanOutMux, fanOutTcp } from "./fan-out.ts";
import { growth } from "./growth.ts";
import { history } from "./history.ts";
import { httpJson } from "./http-json.ts";
import { idle } from "./idle.ts";
import { latency } from "./latency.ts";
import { loginStorm } from "./login-storm.ts";

/** Every case, in the order in which they run. */
export const cases: readonly Case[] = [
  fanOutIdle,
  fanOutTcp,
  fanOutLoad,
  fanOutMux,
  directStream,
  directStore,
  directUnary,
  latency,
  idle,
  bigGroup,
  catchUp,
  loginStorm,
  history,
  growth,
  httpJson,
];
