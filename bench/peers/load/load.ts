import type { Done } from "./orders.ts";
import type { Tally } from "./tally.ts";

/** Clients that are connected and can be put to work again and again. */
export interface Load {
  readonly tally: Tally;
  /** Works for some time and resolves once all is delivered and answered. */
  run(seconds: number): Promise<Done>;
}
