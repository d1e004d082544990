import { expect, test } from "vitest";
import { describeInBrowser } from "./browser.ts";
import { sharedSite } from "./shared-site.ts";
import { type ChatWindow, openTestWindow } from "./window.ts";

/** As in a browser that was told to let pages keep nothing. */
const forbidden = `for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, { get() { throw new DOMException("Access is denied", "SecurityError"); } });`;

/** As when all space is taken, by drafts or by another page of the same origin. */
const full = `for (const storage of [localStorage, sessionStorage])
  for (let size = 4_194_304; size >= 1; size /= 2)
    try { for (let n = 0; ; n++) storage.setItem(size + "." + n, "x".repeat(size)); } catch {}`;

describeInBrowser("a browser that keeps nothing for the page", () => {
  const shared = sharedSite();

  async function chat({ page, startDirect, say, bubble, open, composer, item }: ChatWindow): Promise<void> {
    await startDirect("bob");
    await say("said");
    await bubble("said").getByText("Sent", { exact: true }).waitFor();
    await composer.fill("not said yet");
    await startDirect("carol");
    await item("bob").getByText("not said yet").waitFor();
    await open("bob");
    expect(await composer.inputValue()).toBe("not said yet");
    await composer.press("Enter");
    await bubble("not said yet").getByText("Sent", { exact: true }).waitFor();
    expect(await composer.inputValue()).toBe("");
    await open("carol");
    await open("bob");
    expect(await composer.inputValue()).toBe("");
    await page.reload();
  }

  test("because it was told so: all works until the page is left", async () => {
    const window = await openTestWindow(shared.browser, shared.site.httpAddress, { script: forbidden });
    await window.signIn("alice");
    await chat(window);
    await window.page.getByLabel("Your name").waitFor();
  });

  test("because it is full: all works, and a reload brings nothing back that was sent", async () => {
    const window = await openTestWindow(shared.browser, shared.site.httpAddress);
    await window.signIn("dan");
    await window.page.evaluate(full);
    await chat(window);
    await window.open("bob");
    expect(await window.composer.inputValue()).toBe("");
    expect(await window.texts()).toEqual(["said", "not said yet"]);
  });
});
