// The showcase's other pages in a real browser, two windows each. The pictures it takes are kept in artefacts/, for people
// to look at.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, afterEach, before, describe, test } from "node:test";
import { artefacts, launch, missingBrowser, overflow, PHONE } from "../lib/browser.js";
import { Server, missingServer } from "../lib/server.js";
import { PATIENCE } from "../lib/wait.js";

const skip = missingBrowser() || missingServer("showcase");

describe("pages of the showcase in Chromium", { skip }, () => {
  let server, browser;
  const contexts = [];
  const problems = [];
  before(async () => {
    mkdirSync(artefacts, { recursive: true });
    server = await Server.start("showcase");
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });
  afterEach(async () => {
    for (const context of contexts.splice(0)) await context.close();
    assert.deepEqual(problems.splice(0), [], "errors on the page");
  });

  /** A window; `lossy` if its server goes away, of which the browser complains. */
  const open = async (path, { url = server.url, lossy = false, ...options } = {}) => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    contexts.push(context);
    context.setDefaultTimeout(PATIENCE * 2);
    const page = await context.newPage();
    page.on("pageerror", (error) => problems.push(`${path}: ${error}`));
    page.on("console", (message) => {
      const text = message.text();
      if (message.type() !== "error" || (lossy && /ERR_|WebSocket connection/.test(text))) return;
      problems.push(`${path}: ${text}`);
    });
    await page.goto(`${url}${path}`);
    await page.locator('#status[data-state="online"]').waitFor();
    return page;
  };
  const number = async (page, selector) => Number(await page.locator(selector).textContent());
  /** Waits until `selector` shows a number of at least `least`. */
  const reaches = (page, selector, least) =>
    page.waitForFunction(([selector, least]) => Number(document.querySelector(selector).textContent) >= least, [
      selector,
      least,
    ]);
  /** One picture of what is there at a desk, and one at a phone in the dark. */
  const pictures = async (name, path, ready) => {
    const take = async ([suffix, options]) => {
      const page = await open(path, options);
      await ready(page);
      assert.equal(await overflow(page), 0, `${name}${suffix} scrolls sideways`);
      await page.screenshot({ path: `${artefacts}showcase-${name}${suffix}.png` });
    };
    await Promise.all([["", {}], ["-phone", { ...PHONE, colorScheme: "dark" }]].map(take));
  };

  describe("the dashboard", () => {
    const seq = (page) => page.locator("#received").getAttribute("data-seq").then(Number);
    const missed = (page) => number(page, "#missed");

    test("two windows show the same moves", async () => {
      const one = await open("/dashboard");
      const two = await open("/dashboard");
      for (const page of [one, two]) await reaches(page, "#received", 2);
      const state = (page) =>
        page.evaluate(() => {
          const prices = [...document.querySelectorAll(".price")].map(({ textContent }) => textContent);
          return [document.getElementById("received").dataset.seq, ...prices];
        });
      // Read again if one of them has moved on between.
      let states;
      for (let round = 0; round < 10; round += 1) {
        states = await Promise.all([state(one), state(two)]);
        if (states[0][0] === states[1][0]) break;
      }
      assert.deepEqual(states[0], states[1]);
      assert.equal(states[0].length, 5);
    });

    test("who leaves the stream and comes back has missed nothing", async () => {
      const page = await open("/dashboard");
      const other = await open("/dashboard");
      await reaches(page, "#received", 1);
      await page.getByRole("button", { name: "Leave the stream" }).press("Enter");
      const left = await seq(page);
      const before = await number(other, "#received");
      await reaches(other, "#received", before + 5);
      assert.equal(await seq(page), left);
      await page.getByRole("button", { name: "Come back" }).press("Enter");
      await reaches(page, "#replayed", 2);
      assert.ok((await seq(page)) >= left + 4);
      assert.equal(await missed(page), 0);
    });

    test("a reload shows what was there before", async () => {
      const page = await open("/dashboard");
      await reaches(page, "#received", 1);
      const before = await seq(page);
      await page.reload();
      await reaches(page, "#received", 1);
      assert.ok((await seq(page)) > before);
      assert.equal(await missed(page), 0);
    });

    test("a tile hides and shows its line", async () => {
      const page = await open("/dashboard");
      const tile = page.locator(".tiles button").first();
      await tile.press("Space");
      assert.equal(await tile.getAttribute("aria-pressed"), "false");
      await tile.press("Space");
      assert.equal(await tile.getAttribute("aria-pressed"), "true");
    });

    test("it goes on when the server comes back, and says that it began anew", async () => {
      let own = await Server.start("showcase");
      try {
        const page = await open("/dashboard", { url: own.url, lossy: true });
        await reaches(page, "#received", 2);
        await own.stop();
        await page.locator('#status[data-state="connecting"]').waitFor();
        own = await Server.start("showcase", { port: own.port });
        await page.locator("#events", { hasText: "began anew" }).waitFor({ timeout: 4 * PATIENCE });
        const before = await number(page, "#received");
        await reaches(page, "#received", before + 2);
        assert.equal(await missed(page), 0);
      } finally {
        await own.stop();
      }
    });

    test("pictures", () => pictures("dashboard", "/dashboard", (page) => reaches(page, "#received", 3)));
  });

  describe("the comparison", () => {
    const cell = (way, label) => `tr[data-way="${way}"] td[data-label="${label}"]`;
    const ways = ["WebSocket", "SSE", "Long-polling", "Polling"];
    const choose = async (page, pace, polling) => {
      await page.getByLabel("The value changes about every").selectOption(pace);
      await page.getByLabel("polling asks every").selectOption(polling);
    };

    test("all four hear of the changes, and cost something", async () => {
      const page = await open("/compare");
      await choose(page, "100 ms", "250 ms");
      for (const way of ways) await reaches(page, cell(way, "changes"), 4);
      for (const way of ways) {
        assert.match(await page.locator(cell(way, "median")).textContent(), /^[\d.]+ ms$/, way);
        assert.ok((await number(page, cell(way, "bytes a change"))) > 20, way);
      }
      await reaches(page, cell("Polling", "missed"), 1);
      assert.equal(await number(page, cell("SSE", "missed")), 0);
      assert.equal(await number(page, cell("WebSocket", "missed")), 0);
      await page.locator("#clock", { hasText: "compared to ±" }).waitFor();
    });

    test("a pace that one window sets is the other's, too", async () => {
      const one = await open("/compare");
      const two = await open("/compare");
      await choose(one, "250 ms", "1 s");
      await two.waitForFunction(() => document.getElementById("pace").value === "250");
      for (const way of ways) await reaches(two, cell(way, "changes"), 1);
    });

    test("it can be stopped, and goes on", async () => {
      const page = await open("/compare");
      await choose(page, "100 ms", "100 ms");
      await reaches(page, cell("SSE", "changes"), 1);
      await page.getByRole("button", { name: "Stop" }).press("Enter");
      const requests = [];
      page.on("request", (request) => requests.push(request.url()));
      const before = await number(page, cell("SSE", "changes"));
      await page.getByRole("button", { name: "Go on" }).waitFor();
      // Another window hears a dozen changes meanwhile.
      const other = await open("/compare");
      await reaches(other, cell("SSE", "changes"), 12);
      assert.equal(await number(page, cell("SSE", "changes")), before);
      assert.deepEqual(requests, []);
      await page.getByRole("button", { name: "Go on" }).press("Enter");
      for (const way of ways) await reaches(page, cell(way, "changes"), 1);
    });

    test("pictures", async () => {
      const ready = async (page) => {
        await choose(page, "250 ms", "500 ms");
        for (const way of ways) await reaches(page, cell(way, "changes"), 8);
      };
      await pictures("compare", "/compare", ready);
    });
  });
});
