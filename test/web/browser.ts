/** A real Chromium for the tests of the web page. */

import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";
import { describe } from "vitest";

const places = [
  process.env.PARLANCE_TEST_CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];
const executablePath = places.find((place) => place !== undefined && existsSync(place));

/** A name that leads to this machine and is no secure context over plain http, as a name in a local network. */
export const lanName = "chat.lan";

const args = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // A turn of the wheel is one step, as it is for users who want no animation.
  "--disable-smooth-scrolling",
  `--host-resolver-rules=MAP ${lanName} 127.0.0.1`,
];

/** Describes what is tested in a browser: left out, with a word of why, where there is none. */
export function describeInBrowser(name: string, body: () => void): void {
  if (executablePath === undefined) {
    const reason = "no Chromium was found; install it with `apt-get install chromium`";
    if (process.env.CI) throw new Error(reason);
    process.stderr.write(`${name}: skipped, ${reason}\n`);
  }
  describe.skipIf(executablePath === undefined)(name, body);
}

/** Starts a Chromium with an empty profile of its own. Close it in the end. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: executablePath ?? "", args });
}
