import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { mintToken } from "../../src/auth/mint.ts";
import { describeInBrowser, launchBrowser } from "./browser.ts";
import { type Site, startSite } from "./site.ts";
import { type ChatWindow, openTestWindow } from "./window.ts";

/** What a browser logs of itself when a login is refused. */
const refused = /status of 4\d\d/;
const secret = "a secret of the tests, longer than 32 bytes";

describeInBrowser("signing in", () => {
  let browser: Browser;
  let open: Site;
  let guarded: Site;

  beforeAll(async () => {
    [browser, open, guarded] = await Promise.all([
      launchBrowser(),
      startSite(),
      startSite({ auth: "jwt", jwtSecret: secret }),
    ]);
  });
  afterAll(async () => {
    await browser?.close();
    await open?.close();
    await guarded?.close();
  });

  async function windowOn(site: Site): Promise<ChatWindow> {
    const window = await openTestWindow(browser, site.httpAddress, { expected: refused });
    return window;
  }

  test("a server that takes no names asks for a token, and lets in who has one", async () => {
    const { page } = await windowOn(guarded);
    await page.getByLabel("Your name").fill("alice");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").getByText("This server wants a token").waitFor();
    await page.getByLabel("Token").fill("not.a.token");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").getByText("This token is not valid here.").waitFor();

    const token = await mintToken({ userId: "alice", ttlSeconds: 600, secret });
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("button", { name: "Sign out" }).waitFor();
    const kept = await page.evaluate<string>(
      "location.href + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)",
    );
    expect(kept).not.toContain(token);
    await page.reload();
    await page.getByRole("button", { name: "Sign out" }).waitFor();
    expect(new URL(page.url()).pathname + new URL(page.url()).search).toBe("/");

    const elsewhere = guarded.as({ authorization: `Bearer ${token}`, "parlance-device": "phone" });
    await elsewhere.chat.logout({ allDevices: true });
    await page.getByRole("alert").getByText("You were signed out. Sign in again.").waitFor();
  });

  test("a name that cannot be one is refused in words", async () => {
    const { page } = await windowOn(open);
    await page.getByLabel("Your name").fill("x".repeat(200));
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").getByText("An ID has 1 to 128 bytes").waitFor();
  });

  test("two tabs of one browser are two users, and stay so after a reload", async () => {
    const { page, signIn } = await windowOn(open);
    await signIn("bob");
    const other = await page.context().newPage();
    await other.goto(page.url());
    await other.getByLabel("Your name").fill("carol");
    await other.getByRole("button", { name: "Sign in" }).click();
    await other.getByText("carol").waitFor();
    await Promise.all([page.reload(), other.reload()]);
    await page.locator(".sidebar-me", { hasText: "bob" }).waitFor();
    await other.locator(".sidebar-me", { hasText: "carol" }).waitFor();
  });

  test("who signs out is asked to sign in again, also after a reload", async () => {
    const { page, signIn } = await windowOn(open);
    await signIn("dan");
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Your name").waitFor();
    await page.reload();
    await page.getByLabel("Your name").waitFor();
  });
});
