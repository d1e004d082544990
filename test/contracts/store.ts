/** What every store promises: run it against each implementation. */

import { afterAll, beforeAll, describe } from "vitest";
import type { Store } from "../../src/store/store.ts";
import type { Audience } from "../../wire/log-event.ts";
import { audienceTests } from "./store-audience.ts";
import { conversationTests } from "./store-conversations.ts";
import { groupTests } from "./store-groups.ts";
import { logTests } from "./store-log.ts";
import { memberTests } from "./store-members.ts";
import { missedTests } from "./store-missed.ts";
import { restraintTests } from "./store-restraints.ts";
import { stateTests } from "./store-state.ts";
import { userTests } from "./store-users.ts";

/** A store under test. */
export interface StoreUnderTest {
  /** The store as it is open now. */
  store: Store;
  /** Closes the store and opens it again with what it kept. */
  reopen(): Promise<void>;
  /** Appends an event to a conversation as a later release does. */
  appendUnknown(conversationId: string, audience: Audience | undefined): Promise<void>;
  /** Closes the store and removes what it kept. */
  remove(): Promise<void>;
}

/** Runs the acceptance suite of the `Store` port. The tests share one store and keep to ids of their own. */
export function storeContract(name: string, createStore: () => Promise<StoreUnderTest>): void {
  describe(name, () => {
    let tested: StoreUnderTest;
    beforeAll(async () => {
      tested = await createStore();
    });
    afterAll(() => tested.remove());

    describe("log", () => logTests(() => tested));
    describe("groups", () => groupTests(() => tested));
    describe("members", () => memberTests(() => tested));
    describe("restraints", () => restraintTests(() => tested));
    describe("catching up", () => missedTests(() => tested));
    describe("audiences", () => audienceTests(() => tested));
    describe("conversations", () => conversationTests(() => tested));
    describe("devices, sessions, users", () => userTests(() => tested));
    describe("its own state", () => stateTests(() => tested));
  });
}
