import { readdirSync, readFileSync } from "node:fs";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { mintToken } from "../../src/auth/mint.ts";
import { text } from "../support/server.ts";
import { describeInBrowser, lanName, launchBrowser } from "./browser.ts";
import { pageFolder, type Site, startSite } from "./site.ts";
import { type ChatWindow, openTestWindow } from "./window.ts";

const secret = "a secret of the tests, longer than 32 bytes";
/** A refused login, and a header that browsers heed on secure origins only. */
const expected = /status of 4\d\d|Cross-Origin-Opener-Policy header has been ignored/;

describeInBrowser("over plain http under a name of the local network", () => {
  let browser: Browser;
  let site: Site;
  let address: string;

  beforeAll(async () => {
    // With `auth` = `dev` only loopback names are answered.
    [browser, site] = await Promise.all([launchBrowser(), startSite({ auth: "jwt", jwtSecret: secret })]);
    address = site.httpAddress.replace("127.0.0.1", lanName);
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });

  const mint = (userId: string) => mintToken({ userId, ttlSeconds: 600, secret });

  async function signIn(userId: string): Promise<ChatWindow> {
    const window = await openTestWindow(browser, address, { expected });
    await window.page.getByRole("button", { name: "Use a token instead" }).click();
    await window.page.getByLabel("Token").fill(await mint(userId));
    await window.page.getByRole("button", { name: "Sign in" }).click();
    await window.page.getByRole("button", { name: "Sign out" }).waitFor();
    return window;
  }

  test("a name gets as far as the server, which asks for a token", async () => {
    const { page } = await openTestWindow(browser, address, { expected });
    expect(await page.evaluate("isSecureContext")).toBe(false);
    await page.getByLabel("Your name").fill("alice");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").getByText("This server wants a token").waitFor();
  });

  test("who is signed in sends, receives, makes groups, and stays signed in after a reload", async () => {
    const alice = await signIn("alice");
    const bob = site.as({ authorization: `Bearer ${await mint("bob")}` });
    await alice.startDirect("bob");
    await alice.say("from the local network");
    await alice.bubble("from the local network").getByText("Sent", { exact: true }).waitFor();
    await bob.chat.sendDirect({ recipientId: "alice", content: text("and back") });
    await alice.bubble("and back").waitFor();

    await alice.page.getByRole("button", { name: "New chat" }).first().click();
    await alice.page.getByText("New group", { exact: true }).click();
    await alice.page.getByLabel("Name", { exact: true }).fill("Neighbours");
    await alice.page.getByLabel("Members").fill("bob");
    await alice.page.getByRole("button", { name: "Create group" }).click();
    await alice.page.getByRole("heading", { name: "Neighbours" }).waitFor();
    await alice.say("to the group");
    await alice.bubble("to the group").getByText("Sent", { exact: true }).waitFor();

    await alice.page.reload();
    await alice.bubble("to the group").waitFor();
    await alice.open("bob");
    await alice.bubble("and back").waitFor();
  });

  test("the page uses nothing that browsers keep for secure origins", async () => {
    const { page } = await openTestWindow(browser, site.httpAddress);
    const { page: plain } = await openTestWindow(browser, address, { expected });
    const everywhere = new Set(await offered(plain));
    const onlySecure = (await offered(page)).filter((name) => !everywhere.has(name));
    expect(onlySecure).toContain("crypto.randomUUID");
    expect(onlySecure).toContain("window.caches");
    const script = readdirSync(`${pageFolder}/assets`)
      .filter((name) => name.endsWith(".js"))
      .map((name) => readFileSync(`${pageFolder}/assets/${name}`, "utf8"))
      .join("\n");
    // What a window has is used without naming the window.
    const used = onlySecure.filter((name) =>
      new RegExp(`(?<![\\w$])${name.replace("window.", "").replace(".", "\\.")}(?![\\w$])`).test(script),
    );
    expect(used).toEqual([]);
  });
});

/** The names of what a page may use, such as `crypto.subtle`. */
function offered(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(`Object.entries({ window, navigator, crypto }).flatMap(([owner, object]) =>
    [object, Object.getPrototypeOf(object)].flatMap((place) =>
      Object.getOwnPropertyNames(place).map((member) => owner + "." + member)))`);
}
