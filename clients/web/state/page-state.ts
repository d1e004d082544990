import { type ChatState, emptyChat } from "../../model/state.ts";
import type { ParlanceError } from "../../typescript/errors.ts";

/** How the page stands with the server. */
export type Link =
  | { phase: "connecting" | "live" | "offline" }
  | { phase: "waiting"; retryAtMs: number }
  | { phase: "closed"; error: ParlanceError | undefined };

/** A short message to the user that goes away by itself. */
export interface Notice {
  id: number;
  text: string;
}

/** All that the page shows. */
export interface PageState extends ChatState {
  link: Link;
  /** Whether the list of conversations has come. */
  loaded: boolean;
  notices: readonly Notice[];
}

/** Returns the state before anything is known. */
export function emptyPage(userId: string): PageState {
  return { ...emptyChat(userId), link: { phase: "connecting" }, loaded: false, notices: [] };
}
