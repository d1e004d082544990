import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { text } from "../support/server.ts";
import { describeInBrowser, launchBrowser } from "./browser.ts";
import { type Site, startSite } from "./site.ts";
import { type ChatWindow, openTestWindow } from "./window.ts";

const messages = 5_000;
/** Far more than a screen of lines, far fewer than the messages. */
const maxElements = 3_000;

describeInBrowser("a history of 5,000 messages", () => {
  let browser: Browser;
  let site: Site;

  beforeAll(async () => {
    [browser, site] = await Promise.all([launchBrowser(), startSite()]);
    const sender = await site.login("ann");
    for (let first = 1; first <= messages; first += 100) {
      // One after another, so that the number says the place.
      for (let i = first; i < first + 100; i++) {
        const body = i % 7 === 0 ? `${i} ${"with more to say, ".repeat(12)}` : `${i}`;
        await sender.chat.sendDirect({ recipientId: "ben", content: text(body) });
      }
    }
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });

  async function openHistory(): Promise<ChatWindow> {
    const window = await openTestWindow(browser, site.httpAddress);
    await window.signIn("ben");
    await window.open("ann");
    await window.log.getByText(String(messages), { exact: true }).waitFor();
    return window;
  }

  /** The numbers of the messages that can be seen, and what else is to be known of the list. */
  function look({ page }: ChatWindow): Promise<{ seen: number[]; height: number; elements: number }> {
    return page.evaluate(`(async () => {
      // What is painted, not what is being laid out.
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      const log = document.querySelector("[role=log]");
      const box = log.getBoundingClientRect();
      const seen = [...log.querySelectorAll(".bubble")].filter((bubble) => {
        const { top, bottom } = bubble.getBoundingClientRect();
        return bottom > box.top && top < box.bottom;
      });
      return {
        seen: seen.map((bubble) => parseInt(bubble.querySelector(".message-text").textContent)),
        height: log.scrollHeight,
        elements: document.querySelectorAll("*").length,
      };
    })()`);
  }

  test("scrolls up to its beginning: no screen is blank, no message is missing or twice", async () => {
    const ben = await openHistory();
    expect((await look(ben)).seen.at(-1)).toBe(messages);
    await ben.log.hover();
    const met = new Set<number>();
    await eventually(async () => {
      const { seen, elements } = await look(ben);
      expect(seen.length).toBeGreaterThan(0);
      expect(elements).toBeLessThan(maxElements);
      for (let i = 1; i < seen.length; i++) expect(seen[i]).toBe((seen[i - 1] ?? 0) + 1);
      for (const number of seen) met.add(number);
      await ben.page.mouse.wheel(0, -560);
      return met.has(1);
    }, 280_000);
    expect(met.size).toBe(messages);

    await ben.page.getByRole("button", { name: /To the newest message/ }).click();
    await eventually(async () => (await look(ben)).seen.includes(messages));
  });

  test("stays where it is while older messages come in above, and newer ones below", async () => {
    const ben = await openHistory();
    await ben.log.hover();
    const { height } = await look(ben);
    // So far up that the page before is fetched.
    await ben.page.mouse.wheel(0, 1_000 - height);
    await eventually(async () => !(await look(ben)).seen.includes(messages));
    const before = await look(ben);
    await eventually(async () => (await look(ben)).height > height * 1.5);
    expect((await look(ben)).seen).toEqual(before.seen);

    const ann = await site.login("ann");
    await ann.chat.sendDirect({ recipientId: "ben", content: text("newer") });
    await ben.page.getByRole("button", { name: "To the newest message, 1 unread" }).waitFor();
    expect((await look(ben)).seen).toEqual(before.seen);
    await ben.page.getByRole("button", { name: /To the newest message/ }).click();
    await ben.bubble("newer").waitFor();
    await ben.item("ann").getByText("unread").waitFor({ state: "detached" });
  });
});
