import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { directConversationId } from "../../wire/ids.ts";
import { appendUnknown } from "../support/unknown-events.ts";
import { describeInBrowser, launchBrowser } from "./browser.ts";
import { type MortalSite, startMortalSite } from "./site.ts";
import { type ChatWindow, openTestWindow } from "./window.ts";

/** What a browser logs of itself, whatever the page does, when there is no server or one that is still starting. */
const lostConnection = /^Failed to load resource: (net::ERR_|the server responded with a status of 503 )/;

describeInBrowser("a server that is killed and comes back", () => {
  let browser: Browser;
  let site: MortalSite;

  beforeAll(async () => {
    [browser, site] = await Promise.all([launchBrowser(), startMortalSite()]);
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });

  async function windowOf(name: string): Promise<ChatWindow> {
    const window = await openTestWindow(browser, site.httpAddress, { expected: lostConnection });
    await window.signIn(name);
    return window;
  }

  const banner = ({ page }: ChatWindow) => page.getByRole("status").getByText(/No connection|Connecting/);

  test("costs who is typing nothing: the draft stays, and what was sent arrives once", async () => {
    const [alice, bob] = await Promise.all([windowOf("alice"), windowOf("bob")]);
    await alice.startDirect("bob");
    await alice.say("Before");
    await bob.open("alice");
    await bob.bubble("Before").waitFor();
    await alice.composer.pressSequentially("While it is ");

    await site.kill();
    await banner(alice).waitFor();
    await alice.composer.pressSequentially("away");
    expect(await alice.composer.inputValue()).toBe("While it is away");
    await alice.composer.press("Enter");
    await alice.bubble("While it is away").getByText("Sending", { exact: true }).waitFor();

    await site.start();
    await alice
      .bubble("While it is away")
      .getByText(/^(Sent|Read)$/)
      .waitFor();
    await bob.bubble("While it is away").waitFor();
    await banner(alice).waitFor({ state: "detached" });
    await bob.say("Back");
    await alice.bubble("Back").waitFor();
    for (const window of [alice, bob])
      expect(await window.texts()).toEqual(["Before", "While it is away", "Back"]);
  });

  test("gets a message that was on its way when the page was reloaded, once", async () => {
    const [carol, dan] = await Promise.all([windowOf("carol"), windowOf("dan")]);
    await carol.startDirect("dan");
    await carol.say("Here");
    await dan.open("carol");
    await dan.bubble("Here").waitFor();
    await site.kill();
    await carol.say("Do not lose me");
    await carol.bubble("Do not lose me").getByText("Sending", { exact: true }).waitFor();
    await site.start();
    await carol.page.reload();
    await dan.bubble("Do not lose me").waitFor();
    await carol
      .bubble("Do not lose me")
      .getByText(/^(Sent|Read)$/)
      .waitFor();
    for (const window of [carol, dan]) expect(await window.texts()).toEqual(["Here", "Do not lose me"]);
  });

  test("with events that only later releases know shows nothing of them, and what follows", async () => {
    const [fred, gina] = await Promise.all([windowOf("fred"), windowOf("gina")]);
    await fred.startDirect("gina");
    await fred.say("Before");
    await gina.open("fred");
    await gina.bubble("Before").waitFor();
    await site.kill();
    appendUnknown(site.dataDir, directConversationId("fred", "gina"), 20);
    await site.start();
    await fred.say("After");
    await gina.bubble("After").waitFor();
    for (const window of [fred, gina]) expect(await window.texts()).toEqual(["Before", "After"]);
    await banner(gina).waitFor({ state: "detached" });
  });

  test("is found at once by who asks to try again", async () => {
    const erin = await windowOf("erin");
    await site.kill();
    const retry = erin.page.getByRole("button", { name: "Retry now" });
    await retry.waitFor();
    await site.start();
    // The page may be quicker than the click.
    await retry.click({ timeout: 2_000 }).catch(() => {});
    await banner(erin).waitFor({ state: "detached" });
  });
});
