import type { Browser } from "playwright-core";
import { afterAll, beforeAll } from "vitest";
import { launchBrowser } from "./browser.ts";
import { type Site, startSite } from "./site.ts";

/** Has a browser and a site ready while the tests of a `describeInBrowser` run: its properties are there from then on. */
export function sharedSite(): { readonly browser: Browser; readonly site: Site } {
  const shared = {} as { browser: Browser; site: Site };
  beforeAll(async () => {
    [shared.browser, shared.site] = await Promise.all([launchBrowser(), startSite()]);
  });
  afterAll(async () => {
    await shared.browser?.close();
    await shared.site?.close();
  });
  return shared;
}
