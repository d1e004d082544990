import { expect, test } from "vitest";
import { text } from "../support/server.ts";
import { describeInBrowser } from "./browser.ts";
import { sharedSite } from "./shared-site.ts";
import { type ChatWindow, openTestWindow } from "./window.ts";

const markup = '<script>alert(1)</script><img src=x onerror="alert(2)"><b>bold</b>';
const escapes = "\u001b[31mred\u001b[0m\u0007";
const override = "\u202egnp.exe\u2066 \u2069\u2069";

describeInBrowser("what people type is text, and nothing else", () => {
  const shared = sharedSite();

  async function windowOf(name: string): Promise<ChatWindow> {
    const window = await openTestWindow(shared.browser, shared.site.httpAddress);
    await window.signIn(name);
    return window;
  }

  /** The parts of the page that only markup could have made. */
  const foreignElements = ({ page }: ChatWindow) =>
    page.evaluate("document.querySelectorAll('#root :is(script, img, b, iframe, style)').length");

  test("markup in messages and names is shown as it was typed", async () => {
    const mallory = await shared.site.login(markup);
    const alice = await windowOf("alice");
    await mallory.chat.sendDirect({ recipientId: "alice", content: text(markup) });
    await mallory.groups.createGroup({ groupId: "g<i>", name: `Group ${markup}`, memberIds: ["alice"] });
    await mallory.chat.sendGroup({ groupId: "g<i>", content: text(markup) });
    for (const item of await alice.page.locator("[data-conversation]").all()) {
      await item.click();
      await alice.page.locator(".message-text", { hasText: "<script>" }).waitFor();
      expect(await alice.texts()).toEqual([markup]);
    }
    await alice.open(`Group ${markup}`);
    await alice.page.getByRole("button", { name: "Group details" }).click();
    await alice.page.getByRole("complementary").getByText(`Group ${markup}`).waitFor();
    expect(await foreignElements(alice)).toBe(0);
    await alice.say(markup);
    await alice.bubble(markup).last().getByText("Sent", { exact: true }).waitFor();
    expect(await foreignElements(alice)).toBe(0);
  });

  test("only web and mail addresses become links", async () => {
    const bob = await windowOf("bob");
    await bob.startDirect("carol");
    await bob.say("javascript:alert(1) data:text/html,x https://example.org/a?b=1. (http://example.org/)");
    await bob.say("“https://example.org/it's”。写信给bob@example.org");
    await bob.log.getByText("javascript:").waitFor();
    await bob.log.getByText("写信给").waitFor();
    const links = await bob.log.getByRole("link").all();
    const found = await Promise.all(
      links.map(async (link) => [await link.getAttribute("href"), await link.getAttribute("target")]),
    );
    expect(found).toEqual([
      ["https://example.org/a?b=1", "_blank"],
      ["http://example.org/", "_blank"],
      ["https://example.org/it's", "_blank"],
      ["mailto:bob@example.org", null],
    ]);
    for (const link of links) expect(await link.getAttribute("rel")).toContain("noopener");
  });

  test("terminal escapes are symbols, and text that runs backwards turns nothing else around", async () => {
    const dan = await shared.site.login("dan");
    const erin = await windowOf("erin");
    await dan.groups.createGroup({ groupId: "odd", name: `Odd ${override}`, memberIds: ["erin"] });
    await dan.chat.sendGroup({ groupId: "odd", content: text(escapes) });
    await dan.chat.sendGroup({ groupId: "odd", content: text(override) });
    await erin.open("Odd gnp.exe");
    await erin.log.getByText("␛[31mred␛[0m␇").waitFor();
    // The time stands behind the text it belongs to, as in any other bubble.
    const order = await erin.page.evaluate(`[...document.querySelectorAll(".bubble")].map((bubble) => {
      const textBox = bubble.querySelector(".message-text").getBoundingClientRect();
      const timeBox = bubble.querySelector("time").getBoundingClientRect();
      return timeBox.left >= textBox.right;
    })`);
    expect(order).toEqual([true, true]);
    const title = await erin.page.title();
    expect(title).toBe("Odd gnp.exe – Parlance");
  });
});
