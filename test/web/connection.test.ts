import { expect, test } from "vitest";
import { text } from "../support/server.ts";
import { describeInBrowser } from "./browser.ts";
import { sharedSite } from "./shared-site.ts";
import { type ChatWindow, openTestWindow } from "./window.ts";

/** What a browser logs of itself when it is offline. */
const lostConnection = /net::ERR_/;

describeInBrowser("a page that loses its connection", () => {
  const shared = sharedSite();

  async function windowOf(name: string): Promise<ChatWindow> {
    const window = await openTestWindow(shared.browser, shared.site.httpAddress, {
      expected: lostConnection,
    });
    await window.signIn(name);
    return window;
  }

  test("says that it is offline, and catches up when it is not", async () => {
    const alice = await windowOf("alice");
    const bob = await shared.site.login("bob");
    await alice.startDirect("bob");
    await alice.say("Going into a tunnel");
    await alice.bubble("Going into a tunnel").getByText("Sent", { exact: true }).waitFor();
    await alice.page.context().setOffline(true);
    const offline = alice.page.getByText("You are offline.");
    await offline.waitFor();
    await alice.say("From the tunnel");
    await bob.chat.sendDirect({ recipientId: "alice", content: text("Enjoy") });
    await alice.page.context().setOffline(false);
    await offline.waitFor({ state: "detached" });
    await alice.bubble("Enjoy").waitFor();
    await alice.bubble("From the tunnel").getByText("Sent", { exact: true }).waitFor();
    expect((await alice.texts()).toSorted()).toEqual(["Enjoy", "From the tunnel", "Going into a tunnel"]);
  });

  test("shows a history without holes when more was missed than is replayed", async () => {
    const carol = await windowOf("carol");
    const dan = await shared.site.login("dan");
    await carol.startDirect("dan");
    await carol.say("0");
    await carol.bubble("0").getByText("Sent", { exact: true }).waitFor();
    await carol.page.context().setOffline(true);
    await carol.page.getByText("You are offline.").waitFor();
    for (let i = 1; i <= 400; i++)
      await dan.chat.sendDirect({ recipientId: "carol", content: text(String(i)) });
    await carol.page.context().setOffline(false);
    await carol.bubble("400").waitFor();
    const numbers = (await carol.texts()).map(Number);
    expect(numbers.length).toBeGreaterThan(10);
    expect(numbers).toEqual(numbers.map((_, index) => 401 - numbers.length + index));
    await carol.item("dan").getByText("unread").waitFor({ state: "detached" });
  });

  test("gives way to another window of the same session, and takes it back on demand", async () => {
    const erin = await windowOf("erin");
    const fay = await shared.site.login("fay");
    await erin.startDirect("fay");
    // The window that a page opens begins with a copy of its session.
    const [other] = await Promise.all([
      erin.page.waitForEvent("popup"),
      erin.page.evaluate("void window.open(location.href)"),
    ]);
    await other.getByRole("button", { name: "Sign out" }).waitFor();
    await erin.page.getByText("This chat was opened in another window.").waitFor();
    await erin.page.getByRole("button", { name: "Use it here" }).click();
    await other.getByText("This chat was opened in another window.").waitFor();
    await fay.chat.sendDirect({ recipientId: "erin", content: text("Here?") });
    await erin.open("fay");
    await erin.bubble("Here?").waitFor();
  });

  test("keeps the theme that was chosen, also after a reload", async () => {
    const gus = await windowOf("gus");
    const background = () => gus.page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
    const light = await background();
    await gus.page.getByRole("button", { name: "Theme: as the system" }).click();
    await gus.page.getByRole("button", { name: "Theme: light" }).click();
    await gus.page.getByRole("button", { name: "Theme: dark" }).waitFor();
    const dark = await background();
    expect(dark).not.toBe(light);
    await gus.page.reload();
    await gus.page.getByRole("button", { name: "Theme: dark" }).waitFor();
    expect(await background()).toBe(dark);
  });
});
