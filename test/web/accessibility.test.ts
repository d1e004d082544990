import axe from "axe-core";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { text } from "../support/server.ts";
import { describeInBrowser, launchBrowser } from "./browser.ts";
import { type Site, startSite } from "./site.ts";
import { type ChatWindow, openWindow } from "./window.ts";

describeInBrowser("accessibility", () => {
  let browser: Browser;
  let site: Site;

  beforeAll(async () => {
    [browser, site] = await Promise.all([launchBrowser(), startSite()]);
    const bob = await site.login("bob");
    const carol = await site.login("carol");
    await bob.groups.createGroup({ groupId: "team", name: "Team", memberIds: ["alice", "carol"] });
    await bob.chat.sendGroup({ groupId: "team", content: text("Look at https://example.org/plan") });
    await carol.chat.sendGroup({ groupId: "team", content: text("I will") });
    await carol.chat.sendDirect({ recipientId: "alice", content: text("Are you there?") });
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });

  describe.each(["light", "dark"] as const)("in %s", (colorScheme) => {
    async function openPage(): Promise<ChatWindow> {
      // Colours are looked at when they have stopped changing.
      const options = { colorScheme, reducedMotion: "reduce" } as const;
      const window = await openWindow(browser, site.httpAddress, options);
      onTestFinished(async () => {
        await window.close();
        expect(window.problems).toEqual([]);
      });
      return window;
    }

    test("the sign-in has no serious findings", async () => {
      const { page } = await openPage();
      await page.getByLabel("Your name").fill("alice");
      expect(await findings(page)).toEqual([]);
    });

    test("the list, the chat and the group's details have no serious findings", async () => {
      const window = await openPage();
      await window.signIn("alice");
      await window.item("Team").waitFor();
      expect(await findings(window.page)).toEqual([]);
      await window.open("Team");
      await window.bubble("I will").waitFor();
      await window.say(`So will I, in ${colorScheme}`);
      await window.bubble(`So will I, in ${colorScheme}`).getByText("Sent", { exact: true }).waitFor();
      expect(await findings(window.page)).toEqual([]);
      await window.page.getByRole("button", { name: "Group details" }).click();
      await window.page.getByRole("complementary").getByText("Owner").waitFor();
      expect(await findings(window.page)).toEqual([]);
    });

    test("the dialogs have no serious findings", async () => {
      const { page, signIn } = await openPage();
      await signIn("alice");
      await page.getByRole("button", { name: "New chat" }).first().click();
      await page.getByLabel("Who").fill("alice");
      await page.getByRole("button", { name: "Start chatting" }).click();
      await page.getByRole("alert").waitFor();
      expect(await findings(page)).toEqual([]);
      await page.getByText("New group", { exact: true }).click();
      expect(await findings(page)).toEqual([]);
      await page.getByText("Join group", { exact: true }).click();
      expect(await findings(page)).toEqual([]);
    });

    test("a narrow screen has no serious findings", async () => {
      const window = await openPage();
      await window.page.setViewportSize({ width: 390, height: 844 });
      await window.signIn("alice");
      await window.open("Team");
      await window.bubble("I will").waitFor();
      expect(await findings(window.page)).toEqual([]);
    });
  });
});

/** What axe finds serious or critical, a line each. */
async function findings(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<axe.AxeResults>("axe.run(document)");
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`));
}
