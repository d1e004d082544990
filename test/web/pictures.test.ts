import { statSync } from "node:fs";
import { join } from "node:path";
import type { Browser, BrowserContextOptions, Locator } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { text } from "../support/server.ts";
import { describeInBrowser, launchBrowser } from "./browser.ts";
import { type Site, startSite } from "./site.ts";
import { type ChatWindow, openTestWindow } from "./window.ts";

/** Where pictures for the README go, such as `docs/images`; without it they are not kept. */
const folder = process.env.PARLANCE_TEST_SCREENSHOTS;
const maxBytes = 200_000;

describeInBrowser("the pictures of the README", () => {
  let browser: Browser;
  let site: Site;

  beforeAll(async () => {
    [browser, site] = await Promise.all([launchBrowser(), startSite()]);
    await fill(site);
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });

  async function windowOf(options: BrowserContextOptions): Promise<ChatWindow> {
    const window = await openTestWindow(browser, site.httpAddress, { deviceScaleFactor: 2, ...options });
    await window.signIn("Nora Lind");
    return window;
  }

  /** @param part what of the page; by default all that is seen */
  async function keep(
    { page }: ChatWindow,
    name: string,
    part: Pick<Locator, "screenshot"> = page,
  ): Promise<void> {
    // Neither a caret that blinks nor a focus that comes of the test.
    await page.evaluate("document.activeElement.blur()");
    const path = folder && join(folder, `${name}.png`);
    await part.screenshot({ caret: "initial", ...(path && { path }) });
    if (path === undefined) return;
    expect(statSync(path).size).toBeLessThan(maxBytes);
  }

  const wide = { width: 960, height: 620 };

  test("show a group on a wide screen, light and dark", async () => {
    for (const colorScheme of ["light", "dark"] as const) {
      const nora = await windowOf({ colorScheme, viewport: wide, deviceScaleFactor: 1.5 });
      await nora.open("Repair café");
      await nora.bubble("I can bring the soldering irons and two multimeters.").waitFor();
      await nora.page.locator(".chat-about", { hasText: "5 members" }).waitFor();
      await nora.page.locator(".item .avatar-online").nth(1).waitFor();
      await keep(nora, `web-${colorScheme}`);
      if (colorScheme === "light") {
        await nora.page.getByRole("button", { name: "Group details" }).click();
        const details = nora.page.getByRole("complementary");
        await details.getByText("Owner").waitFor();
        await keep(nora, "web-details", details);
      }
    }
  });

  test("show a chat and the list on a narrow screen", async () => {
    const nora = await windowOf({ viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true });
    await nora.item("Repair café").waitFor();
    await nora.page.locator(".item .avatar-online").nth(1).waitFor();
    await keep(nora, "web-narrow-list");
    await nora.open("Tomás Rivera");
    await nora.bubble("On my way. Ten minutes.").waitFor();
    await keep(nora, "web-narrow");
  });
});

/** Has some people talk. */
async function fill(site: Site): Promise<void> {
  const names = ["Nora Lind", "Tomás Rivera", "Amara Okafor", "Jun Watanabe", "Lea Hofmann"] as const;
  const [nora, tomas, amara, jun, lea] = await Promise.all(names.map((name) => site.login(name, "seed")));
  if (!nora || !tomas || !amara || !jun || !lea) throw new Error("not everyone is here");
  for (const user of [tomas, amara, jun]) {
    const stream = user.stream();
    await stream.open();
  }
  const direct = async (from: typeof nora, to: typeof nora, body: string) => {
    await from.chat.sendDirect({ recipientId: to.userId, content: text(body) });
  };
  const group = async (from: typeof nora, groupId: string, body: string) => {
    await from.chat.sendGroup({ groupId, content: text(body) });
  };

  await tomas.groups.createGroup({ groupId: "choir", name: "Thursday choir", memberIds: [nora.userId] });
  await group(tomas, "choir", "Scores for the new piece are in the usual place.");
  await direct(jun, nora, "Thanks for the bike pump, I left it at your door");
  await direct(nora, lea, "Happy birthday! 🎉 See you at eight.");
  await amara.groups.createGroup({
    groupId: "repair-cafe",
    name: "Repair café",
    memberIds: [nora.userId, tomas.userId, jun.userId, lea.userId],
  });
  await group(amara, "repair-cafe", "Saturday is confirmed: we get the big room of the library.");
  await group(amara, "repair-cafe", "We still need somebody at the door.");
  await group(jun, "repair-cafe", "I can bring the soldering irons and two multimeters.");
  await group(nora, "repair-cafe", "I’ll take the door until noon.");
  await group(
    nora,
    "repair-cafe",
    "Could somebody check whether the sewing machine from last time works again?",
  );
  await group(
    lea,
    "repair-cafe",
    "It does! The belt was the problem. Here is the one I ordered: https://parts.example/belts/12-470",
  );
  await group(amara, "repair-cafe", "Wonderful. Then we have everything for twelve tables.");
  await direct(tomas, nora, "Are you at the station already?");
  await direct(nora, tomas, "Just arrived. I’m at the flower shop, next to the main entrance.");
  await direct(tomas, nora, "The tram stopped for a while, sorry. Do you want a coffee?");
  await direct(nora, tomas, "Always. No sugar, please.");
  await direct(tomas, nora, "On my way. Ten minutes.");
  await direct(jun, nora, "Shall I pick up the projector on Friday?");
  await direct(jun, nora, "They close at six.");
}
