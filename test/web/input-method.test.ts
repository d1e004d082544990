import type { CDPSession, Page } from "playwright-core";
import { expect, test } from "vitest";
import { JoinPolicy } from "../../gen/parlance/chat/v1/group_pb.js";
import { describeInBrowser } from "./browser.ts";
import { sharedSite } from "./shared-site.ts";
import { openTestWindow } from "./window.ts";

describeInBrowser("keys that an input method takes", () => {
  const shared = sharedSite();

  async function windowOf(name: string) {
    const window = await openTestWindow(shared.browser, shared.site.httpAddress);
    await window.signIn(name);
    return { ...window, keyboard: await inputMethodOf(window.page) };
  }

  test("Enter that takes a suggestion sends no half message", async () => {
    const { page, keyboard, startDirect, composer, bubble, texts } = await windowOf("alice");
    await startDirect("bob");
    // As Safari tells it: the composition has ended, and the key has the code 229.
    await keyboard.compose("日本");
    await keyboard.press("Enter");
    // As Chromium and Firefox tell it.
    await keyboard.compose("語で");
    await composer.evaluate(`(field) => field.dispatchEvent(
      new KeyboardEvent("keydown", { key: "Enter", isComposing: true, bubbles: true, cancelable: true }))`);
    await composer.dispatchEvent("keydown", { key: "Process", keyCode: 229, bubbles: true });
    await keyboard.compose("話す");
    await page.keyboard.press("Enter");
    await bubble("日本語で話す").waitFor();
    expect(await texts()).toEqual(["日本語で話す"]);
  });

  test("Enter that takes a suggestion signs nobody in with half a name", async () => {
    const { page } = await openTestWindow(shared.browser, shared.site.httpAddress);
    const keyboard = await inputMethodOf(page);
    await page.getByLabel("Your name").focus();
    await keyboard.compose("山");
    await keyboard.press("Enter");
    await keyboard.compose("田");
    await page.keyboard.press("Enter");
    await page.locator(".sidebar-me", { hasText: "山田" }).waitFor();
  });

  test("Enter that takes a suggestion starts, makes and joins nothing half named", async () => {
    const { page, keyboard, item } = await windowOf("carol");
    const other = await shared.site.login("other");
    await other.groups.createGroup({ groupId: "公園", name: "公園", joinPolicy: JoinPolicy.OPEN });

    async function fill(kind: string, label: string, parts: readonly [string, string]) {
      await page.getByRole("button", { name: "New chat" }).first().click();
      await page.getByText(kind, { exact: true }).click();
      await page.getByLabel(label, { exact: true }).focus();
      await keyboard.compose(parts[0]);
      await keyboard.press("Enter");
      await keyboard.compose(parts[1]);
      await page.keyboard.press("Enter");
      await item(parts.join("")).waitFor();
    }
    await fill("Person", "Who", ["鈴", "木"]);
    await fill("Join group", "Group ID", ["公", "園"]);
    await fill("New group", "Name", ["週", "末"]);
    await page.getByRole("button", { name: "Group details" }).click();
    await page.getByLabel("Add people").focus();
    await keyboard.compose("佐");
    await keyboard.press("Enter");
    await keyboard.compose("藤");
    await page.keyboard.press("Enter");
    await page.getByRole("complementary").getByText("佐藤", { exact: true }).waitFor();
    const titles = await page.locator(".item-title").allInnerTexts();
    expect(titles.toSorted()).toEqual(["公園", "週末", "鈴木"]);
  });

  test("Escape that drops a suggestion closes neither the chat nor a dialog", async () => {
    const { page, keyboard, startDirect, composer } = await windowOf("dan");
    await startDirect("erin");
    await keyboard.press("Escape");
    await composer.press("x");
    await composer.press("Backspace");
    await page.getByRole("button", { name: "New chat" }).first().click();
    await page.getByLabel("Who").fill("erin");
    await keyboard.press("Escape");
    await page.getByLabel("Who").fill("frank");
    await page.keyboard.press("Enter");
    await page.getByRole("textbox", { name: "Message to frank" }).waitFor();
  });
});

/** Types as an input method does. */
async function inputMethodOf(page: Page) {
  const session: CDPSession = await page.context().newCDPSession(page);
  return {
    /** Composes a text and leaves it, as if its suggestion had been taken. */
    async compose(text: string) {
      await session.send("Input.imeSetComposition", {
        text,
        selectionStart: text.length,
        selectionEnd: text.length,
      });
      await session.send("Input.insertText", { text });
    },
    /** Presses a key that the method has taken: its code is 229, and nothing is being composed. */
    async press(key: "Enter" | "Escape") {
      const shared = { key, code: key, windowsVirtualKeyCode: 229 };
      const field = await page.evaluate("document.activeElement.localName");
      // Chromium submits a form on the character that comes with the key, and a text box would take it in.
      const text = key === "Enter" && field === "input" ? { text: "\r", unmodifiedText: "\r" } : {};
      await session.send("Input.dispatchKeyEvent", { type: "keyDown", ...shared, ...text });
      await session.send("Input.dispatchKeyEvent", { type: "keyUp", ...shared });
    },
  };
}
