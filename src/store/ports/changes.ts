import type { LogEvent } from "../../../wire/log-event.ts";
import type { ChangeAnswer, ChangeName, ChangeRequest } from "../../rules/changes.ts";

/** The result of a change. */
export interface Changed<N extends ChangeName> {
  answer: ChangeAnswer<N>;
  /** The events it put into the log, in order; none when nothing had to change. */
  events: LogEvent[];
}

/** Changes conversations by the rules that all stores share. */
export interface ChangeStore {
  /**
   * Carries out a verb of `rules/changes.ts`, all of it or nothing: reads the
   * facts its rule needs, and does what it decides as long as they still stand.
   *
   * @throws ChatError what the rule refuses with
   */
  change<N extends ChangeName>(name: N, request: ChangeRequest<N>): Promise<Changed<N>>;
}
