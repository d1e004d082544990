import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { Config } from "../../src/config/config.ts";
import { nginxMissing, startNginx } from "../deploy/nginx.ts";
import { text } from "../support/server.ts";
import { describeInBrowser, launchBrowser } from "./browser.ts";
import { type Site, startSite } from "./site.ts";
import { openTestWindow } from "./window.ts";

const expected = /Cross-Origin-Opener-Policy/;

describeInBrowser("the web page below a path", () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser?.close();
  });

  async function siteWith(config: Partial<Config>): Promise<Site> {
    const site = await startSite(config);
    onTestFinished(site.close);
    return site;
  }

  /** Signs in, sends and receives, and reloads, all below one path. */
  async function chatAt(address: string, site: Site): Promise<void> {
    const alice = await openTestWindow(browser, address, { expected, ignoreHTTPSErrors: true });
    const paths = new Set<string>();
    alice.page.on("request", (request) => paths.add(new URL(request.url()).pathname));
    await alice.page.reload();
    await alice.signIn("alice");
    await alice.startDirect("bob");
    await alice.say("below a path");
    await alice.bubble("below a path").getByText("Sent", { exact: true }).waitFor();
    const bob = await site.login("bob");
    await bob.chat.sendDirect({ recipientId: "alice", content: text("and back") });
    await alice.bubble("and back").waitFor();
    await alice.page.reload();
    await alice.bubble("and back").waitFor();

    expect([...paths]).toContain("/team/chat/parlance.chat.v1.ChatService/Listen");
    for (const path of paths) expect(path).toMatch(/^\/team\/chat\//);
    const icon = await alice.page.evaluate<string>("document.querySelector('link[rel=icon]').href");
    expect(new URL(icon).pathname).toBe("/team/chat/logo.svg");
    const { status } = await alice.page.evaluate<{ status: number }>(
      "fetch(document.querySelector('link[rel=icon]').href).then(({ status }) => ({ status }))",
    );
    expect(status).toBe(200);
  }

  test("works on the server's own port", async () => {
    const site = await siteWith({ httpBasePath: "/team/chat" });
    await chatAt(`${site.httpAddress}/team/chat`, site);
  });

  test.for([
    { proxy: "that leaves the path as it is", httpBasePath: "/team/chat", target: "http://parlance_http" },
    { proxy: "that takes the path away", httpBasePath: "/", target: "http://parlance_http/" },
    { proxy: "that does so needlessly", httpBasePath: "/team/chat", target: "http://parlance_http/" },
  ])("works behind an nginx $proxy", async ({ httpBasePath, target }, { skip }) => {
    skip(nginxMissing !== undefined, nginxMissing);
    const site = await siteWith({ httpBasePath });
    const node = { grpc: site.address, http: site.httpAddress };
    const nginx = await startNginx([node, node, node], { proxy_pass: target }, "/team/chat/");
    onTestFinished(nginx.close);
    await chatAt(`https://localhost:${nginx.httpPort}/team/chat`, site);
  });
});
