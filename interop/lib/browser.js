// A headless Chromium for the suites that look at pages.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { missing } from "./server.js";

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Where pictures are kept, for people to look at. */
export const artefacts = fileURLToPath(new URL("../../artefacts/", import.meta.url));

/** What a phone is to a page. */
export const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

/** The `skip` option of a suite that needs the browser. */
export function missingBrowser() {
  return missing(`the browser ${executablePath} (cargo xtask setup)`, existsSync(executablePath));
}

export function launch() {
  return chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** How far a page can be scrolled sideways. */
export function overflow(page) {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}
