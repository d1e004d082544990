import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";
import { expect, onTestFinished } from "vitest";

/** How to open a window. */
export interface WindowOptions extends BrowserContextOptions {
  /** What the browser may complain of: lost connections, where the server is killed. */
  expected?: RegExp;
  /** Runs in the page before anything of its own. */
  script?: string;
}

/** A window of the page, with a browser profile of its own. */
export interface ChatWindow {
  page: Page;
  /** What the browser has complained of: errors, warnings, breaches of the Content-Security-Policy. */
  problems: string[];
  signIn(name: string): Promise<void>;
  /** Opens the conversation with a user, by the dialog. */
  startDirect(peerId: string): Promise<void>;
  /** Opens a conversation of the list. */
  open(title: string): Promise<void>;
  /** Types a message and sends it with Enter. */
  say(text: string): Promise<void>;
  composer: Locator;
  /** The history. */
  log: Locator;
  /** The bubble with a text. */
  bubble(text: string): Locator;
  /** The texts of the bubbles in the document, from old to new. */
  texts(): Promise<string[]>;
  /** The conversation's line in the list. */
  item(title: string): Locator;
  close(): Promise<void>;
}

/**
 * Opens a window on the page.
 *
 * @param address such as `127.0.0.1:8080` or `https://localhost:8443/chat`
 */
export async function openWindow(
  browser: Browser,
  address: string,
  { expected, script = "", ...options }: WindowOptions = {},
): Promise<ChatWindow> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    locale: "en-GB",
    ...options,
  });
  await context.addInitScript(script);
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  const problems: string[] = [];
  page.on("console", (message) => {
    if (message.type() !== "error" && message.type() !== "warning") return;
    if (!expected?.test(message.text())) problems.push(message.text());
  });
  page.on("pageerror", (error) => problems.push(String(error.stack)));
  page.on("dialog", (dialog) => {
    problems.push(`a dialog appeared: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.goto(`${address.includes("://") ? "" : "http://"}${address}/`);

  const composer = page.getByRole("textbox", { name: /^Message to/ });
  const log = page.getByRole("log");
  const item = (title: string) =>
    page
      .getByRole("navigation", { name: "Conversations" })
      .getByRole("button")
      .filter({ has: page.locator(".item-title").getByText(title, { exact: true }) });

  return {
    page,
    problems,
    composer,
    log,
    item,
    async signIn(name) {
      await page.getByLabel("Your name").fill(name);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("button", { name: "Sign out" }).waitFor();
    },
    async startDirect(peerId) {
      await page.getByRole("button", { name: "New chat" }).first().click();
      await page.getByLabel("Who").fill(peerId);
      await page.getByRole("button", { name: "Start chatting" }).click();
      await composer.waitFor();
    },
    async open(title) {
      await item(title).click();
      await composer.waitFor();
    },
    async say(text) {
      await composer.fill(text);
      await composer.press("Enter");
    },
    bubble: (text) => log.getByRole("article").filter({ has: page.getByText(text, { exact: true }) }),
    texts: () => log.locator(".message-text").allInnerTexts(),
    close: () => context.close(),
  };
}

/**
 * Opens a window for the test that runs: closed at its end, when the page must
 * have had nothing to complain about.
 */
export async function openTestWindow(...args: Parameters<typeof openWindow>): Promise<ChatWindow> {
  const window = await openWindow(...args);
  onTestFinished(async () => {
    await window.close();
    expect(window.problems).toEqual([]);
  });
  return window;
}
