import { expect, onTestFinished, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { text } from "../support/server.ts";
import { describeInBrowser } from "./browser.ts";
import { sharedSite } from "./shared-site.ts";
import { type ChatWindow, openTestWindow, type WindowOptions } from "./window.ts";

describeInBrowser("the web page", () => {
  const shared = sharedSite();

  /** Opens a window as a user; it must be without complaints in the end. */
  async function windowOf(name: string, options?: WindowOptions): Promise<ChatWindow> {
    const window = await openTestWindow(shared.browser, shared.site.httpAddress, options);
    await window.signIn(name);
    return window;
  }

  test("two users chat in two windows", async () => {
    const alice = await windowOf("alice");
    const bob = await windowOf("bob");
    await bob.page.getByText("No conversations yet.").waitFor();

    await alice.startDirect("bob");
    await alice.say("Hello Bob");
    await alice.bubble("Hello Bob").getByText("Sent", { exact: true }).waitFor();

    await bob.item("alice").getByText("1 unread").waitFor();
    expect(await bob.page.title()).toBe("(1) Parlance");
    await bob.open("alice");
    await bob.bubble("Hello Bob").waitFor();
    await alice.bubble("Hello Bob").getByText("Read", { exact: true }).waitFor();
    await bob.item("alice").getByText("1 unread").waitFor({ state: "detached" });
    expect(await bob.page.title()).toBe("alice – Parlance");

    await bob.composer.pressSequentially("Two");
    await bob.composer.press("Shift+Enter");
    await bob.composer.pressSequentially("lines");
    await bob.composer.press("Enter");
    await alice.page.locator(".message-text", { hasText: "Two" }).waitFor();
    expect(await alice.texts()).toEqual(["Hello Bob", "Two\nlines"]);
    await alice.page.locator(".chat-about", { hasText: "Online" }).waitFor();
    await bob.bubble("Two\nlines").getByText("Read", { exact: true }).waitFor();
  });

  test("typing is told both ways, and forgotten", async () => {
    const carol = await windowOf("carol");
    await carol.startDirect("dan");
    const dan = await shared.site.login("dan");
    const stream = dan.stream();
    onTestFinished(() => stream.cancel());
    await stream.open();
    stream.send({
      case: "setTyping",
      value: { target: { case: "recipientId", value: "carol" }, typing: true },
    });
    await carol.page.locator(".chat-about", { hasText: "typing…" }).waitFor();
    await carol.page.getByLabel("Message to dan").fill("Hm");
    await stream.next("typing", ({ userId, typing }) => userId === "carol" && typing);
    await carol.page.getByLabel("Message to dan").fill("");
    await stream.next("typing", ({ userId, typing }) => userId === "carol" && !typing);
    await dan.chat.sendDirect({ recipientId: "carol", content: text("There") });
    await carol.bubble("There").waitFor();
    await carol.page.locator(".chat-about", { hasText: "typing…" }).waitFor({ state: "detached" });
  });

  test("three users make a group, name an admin, and part", async () => {
    const [erin, fay, gus] = await Promise.all([windowOf("erin"), windowOf("fay"), windowOf("gus")]);
    await erin.page.getByRole("button", { name: "New chat" }).first().click();
    await erin.page.getByText("New group", { exact: true }).click();
    await erin.page.getByLabel("Name", { exact: true }).fill("Lake trip");
    await erin.page.getByLabel("Members").fill("fay");
    await erin.page.getByRole("button", { name: "Create group" }).click();
    await erin.say("Who is in?");
    await fay.open("Lake trip");
    await fay.bubble("Who is in?").waitFor();
    await fay.say("Me");

    await erin.page.getByRole("button", { name: "Group details" }).click();
    await erin.page.getByLabel("Add people").fill("gus");
    await erin.page.getByRole("button", { name: "Add", exact: true }).click();
    await fay.log.getByText("erin added gus").waitFor();
    await gus.open("Lake trip");
    await gus.bubble("Me").waitFor();
    await gus.say("Me too");
    for (const window of [erin, fay, gus]) {
      await window.bubble("Me too").waitFor();
      expect(await window.texts()).toEqual(["Who is in?", "Me", "Me too"]);
    }

    await erin.page.getByLabel("What to do with fay").click();
    await erin.page.getByRole("button", { name: "Make admin" }).click();
    await erin.page
      .getByRole("listitem")
      .filter({ hasText: "fay" })
      .getByText("Admin", { exact: true })
      .waitFor();
    await erin.page.getByLabel("What to do with gus").click();
    await erin.page.getByRole("button", { name: "Remove" }).click();
    await gus.item("Lake trip").waitFor({ state: "detached" });
    await fay.log.getByText("erin removed gus").waitFor();

    await fay.page.getByRole("button", { name: "Group details" }).click();
    await fay.page.getByRole("button", { name: "Leave group" }).click();
    await fay.page.getByRole("button", { name: "Leave", exact: true }).click();
    await fay.item("Lake trip").waitFor({ state: "detached" });
    await erin.log.getByText("fay left").waitFor();
  });

  test("an open group is joined by its ID, and a closed one is not, in words", async () => {
    const owner = await shared.site.login("hugo");
    await owner.groups.createGroup({ groupId: "open-door", name: "Open door", joinPolicy: 1 });
    await owner.groups.createGroup({ groupId: "shut-door", name: "Shut door", joinPolicy: 4 });
    const ida = await windowOf("ida", { expected: /status of 404/ });
    await ida.page.getByRole("button", { name: "New chat" }).first().click();
    await ida.page.getByText("Join group").click();
    await ida.page.getByLabel("Group ID").fill("shut-door");
    await ida.page.getByRole("button", { name: "Join", exact: true }).click();
    await ida.page.getByRole("alert").getByText("There is no such group").waitFor();
    await ida.page.getByLabel("Group ID").fill("open-door");
    await ida.page.getByRole("button", { name: "Join", exact: true }).click();
    await ida.say("Nice door");
    await ida.bubble("Nice door").getByText("Sent", { exact: true }).waitFor();
  });

  test("a reload shows the same conversation, each message once, and goes on", async () => {
    const jan = await windowOf("jan");
    const kim = await shared.site.login("kim");
    await jan.startDirect("kim");
    for (const body of ["one", "two", "three"]) await jan.say(body);
    await jan.bubble("three").getByText("Sent", { exact: true }).waitFor();
    await jan.composer.fill("half a thou");

    await jan.page.reload();
    await jan.bubble("three").waitFor();
    expect(await jan.texts()).toEqual(["one", "two", "three"]);
    expect(await jan.composer.inputValue()).toBe("half a thou");
    await kim.chat.sendDirect({ recipientId: "jan", content: text("four") });
    await jan.bubble("four").waitFor();
    await jan.page.reload();
    await jan.bubble("four").waitFor();
    expect(await jan.texts()).toEqual(["one", "two", "three", "four"]);
    await jan.item("kim").waitFor();
    expect(await jan.item("kim").getByText("unread").count()).toBe(0);
  });

  test("what came while nobody looked is counted, marked and read", async () => {
    const lea = await shared.site.login("lea");
    const max = await windowOf("max");
    for (let i = 1; i <= 3; i++)
      await lea.chat.sendDirect({ recipientId: "max", content: text(`news ${i}`) });
    await max.item("lea").getByText("3 unread").waitFor();
    await max.page.reload();
    await max.item("lea").getByText("3 unread").waitFor();
    await max.open("lea");
    await max.log.getByText("New messages").waitFor();
    await eventually(async () => {
      const { conversations } = await (
        await shared.site.login("max", "other")
      ).conversations.listConversations({});
      return conversations[0]?.unreadCount === 0;
    });
  });

  test("a message that is refused says why, and can be deleted or sent again", async () => {
    const ned = await windowOf("ned", { expected: /status of 40\d/ });
    const owner = await shared.site.login("oli");
    await owner.groups.createGroup({ groupId: "quiet", name: "Quiet", memberIds: ["ned"] });
    await ned.open("Quiet");
    await owner.groups.updateMember({
      member: { groupId: "quiet", userId: "ned", mutedUntilTime: { seconds: 99_999_999_999n } },
      updateMask: { paths: ["muted_until_time"] },
    });
    await ned.say("May I?");
    await ned.log.getByText("You may not write in this group for now.").waitFor();
    await owner.groups.updateMember({
      member: { groupId: "quiet", userId: "ned" },
      updateMask: { paths: ["muted_until_time"] },
    });
    await ned.page.getByRole("button", { name: "Send again" }).click();
    await ned.bubble("May I?").getByText("Sent", { exact: true }).waitFor();
    expect(await ned.texts()).toEqual(["May I?"]);
  });

  test("the list and the chat are two screens where it is narrow", async () => {
    const pat = await windowOf("pat", { viewport: { width: 390, height: 844 } });
    await pat.startDirect("quinn");
    await pat.say("From a phone");
    await pat.bubble("From a phone").waitFor();
    expect(await pat.item("quinn").isVisible()).toBe(false);
    const overflow = await pat.page.evaluate("document.documentElement.scrollWidth - innerWidth");
    expect(overflow).toBeLessThanOrEqual(0);
    await pat.page.getByRole("button", { name: "Back to the conversations" }).click();
    await pat.item("quinn").waitFor();
    expect(await pat.composer.isVisible()).toBe(false);
  });

  test("all works with the keyboard", async () => {
    const ron = await windowOf("ron");
    for (const peer of ["sue", "tom"]) {
      await ron.startDirect(peer);
      await ron.say(`Hi ${peer}`);
      await ron.bubble(`Hi ${peer}`).getByText("Sent", { exact: true }).waitFor();
    }
    await ron.page.keyboard.press("Escape");
    await ron.composer.waitFor({ state: "detached" });
    await ron.page.locator(".item:focus").getByText("tom", { exact: true }).waitFor();
    await ron.page.keyboard.press("ArrowDown");
    await ron.page.keyboard.press("Enter");
    await ron.page.getByRole("textbox", { name: "Message to sue" }).waitFor();
    await ron.page.keyboard.type("Typed at once");
    await ron.page.keyboard.press("Enter");
    await ron.bubble("Typed at once").waitFor();
  });
});
