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
        await choose(page, "250 ms", "250 ms");
        for (const way of ways) await reaches(page, cell(way, "changes"), 6);
      };
      await pictures("compare", "/compare", ready);
    });
  });

  describe("the board", () => {
    const strokes = (page, count) => page.locator(`#board[data-strokes="${count}"]`).waitFor();
    const draw = async (page, points) => {
      const box = await page.locator("#canvas").boundingBox();
      const at = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
      await page.mouse.move(...at(points[0]));
      await page.mouse.down();
      for (const point of points.slice(1)) await page.mouse.move(...at(point), { steps: 4 });
      await page.mouse.up();
    };
    const wipe = async (page) => {
      await page.getByRole("button", { name: "Wipe" }).press("Enter");
      await strokes(page, 0);
    };
    /** How many points of the canvas are painted. */
    const painted = (page) =>
      page.evaluate(() => {
        const canvas = document.getElementById("canvas");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let count = 0;
        for (let at = 3; at < data.length; at += 4) if (data[at] > 128) count += 1;
        return count;
      });

    test("strokes and pointers are seen in the other window, and by who comes late", async () => {
      const ada = await open("/board?name=Ada");
      const bob = await open("/board?name=Bob");
      await ada.locator('#people li[title="Bob"]').waitFor();
      await wipe(ada);
      await ada.getByLabel("Violet").check();
      await draw(ada, [[0.2, 0.2], [0.5, 0.7], [0.8, 0.2]]);
      await draw(bob, [[0.3, 0.8], [0.7, 0.8]]);
      for (const page of [ada, bob]) await strokes(page, 2);
      await bob.locator('.pointer[data-name="Ada"]').waitFor();
      const cleo = await open("/board?name=Cleo");
      await strokes(cleo, 2);
      // Drawn in the next frame.
      for (const page of [ada, bob, cleo]) await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(drawn)));
      const counts = await Promise.all([ada, bob, cleo].map(painted));
      assert.ok(counts[0] > 1_000);
      assert.deepEqual(counts, [counts[0], counts[0], counts[0]]);
      await bob.close();
      await ada.locator('#people li[title="Bob"]').waitFor({ state: "detached" });
      await ada.locator('.pointer[data-name="Bob"]').waitFor({ state: "detached" });
    });

    test("the keyboard draws", async () => {
      const ada = await open("/board?name=Ada");
      const bob = await open("/board?name=Bob");
      await wipe(ada);
      await ada.locator("#board").focus();
      for (const key of ["Space", "ArrowRight", "Shift+ArrowDown", "Space", "ArrowLeft"]) await ada.keyboard.press(key);
      await strokes(bob, 1);
      assert.equal(await ada.locator("#pen").textContent(), "The pen is up.");
    });

    test("it goes on when the server comes back", async () => {
      let own = await Server.start("showcase");
      try {
        const ada = await open("/board?name=Ada", { url: own.url, lossy: true });
        await draw(ada, [[0.2, 0.2], [0.4, 0.4]]);
        await strokes(ada, 1);
        await own.stop();
        await ada.locator('#status:not([data-state="online"])').waitFor();
        own = await Server.start("showcase", { port: own.port });
        await ada.locator('#status[data-state="online"]').waitFor({ timeout: 4 * PATIENCE });
        await strokes(ada, 0);
        await draw(ada, [[0.2, 0.2], [0.4, 0.4]]);
        await strokes(ada, 1);
      } finally {
        await own.stop();
      }
    });

    test("pictures", async () => {
      const wave = (from, to, y, height) =>
        Array.from({ length: 25 }, (_, n) => [from + ((to - from) * n) / 24, y + height * Math.sin(n / 2.2)]);
      const ring = (x, y, r) =>
        Array.from({ length: 25 }, (_, n) => [x + r * Math.cos((n * Math.PI) / 12), y + 1.6 * r * Math.sin((n * Math.PI) / 12)]);
      const ada = await open("/board?name=Ada%20Lind");
      const bob = await open("/board?name=Bob%20Moreau");
      await wipe(ada);
      const sketch = [
        [ada, "Green", [[0.1, 0.3], [0.1, 0.6], [0.28, 0.6], [0.28, 0.3], [0.1, 0.3]]],
        [bob, "Violet", ring(0.52, 0.42, 0.1)],
        [ada, "Green", [[0.29, 0.45], [0.41, 0.43]]],
        [ada, "Ink", wave(0.1, 0.62, 0.82, 0.04)],
        [bob, "Orange", [[0.74, 0.3], [0.74, 0.6], [0.92, 0.6], [0.92, 0.3], [0.74, 0.3]]],
        [bob, "Orange", [[0.63, 0.43], [0.73, 0.45]]],
      ];
      for (const [page, color, points] of sketch) {
        await page.getByLabel(color, { exact: true }).check();
        await draw(page, points);
      }
      let count = 0;
      await pictures("board", "/board?name=Cleo", async (page) => {
        await strokes(page, sketch.length);
        count += 1;
        for (const [who, name, at] of [[ada, "Ada Lind", 0.35], [bob, "Bob Moreau", 0.66]]) {
          const pointer = page.locator(`.pointer[data-name="${name}"]`);
          const box = await who.locator("#canvas").boundingBox();
          // Pointers are volatile: one that a busy window does not take is not sent again.
          for (let turn = 0; turn < 20 && !(await pointer.isVisible()); turn += 1) {
            await who.mouse.move(box.x + box.width * at + turn, box.y + box.height * (0.6 + count / 20), { steps: 3 });
            await pointer.waitFor({ timeout: 500 }).catch(() => {});
          }
        }
        for (const name of ["Ada Lind", "Bob Moreau"]) await page.locator(`.pointer[data-name="${name}"]`).waitFor();
      });
    });
  });

  describe("the text", () => {
    const box = (page) => page.locator("#text");
    const value = (page) => box(page).inputValue();
    const saved = (page) => page.locator('#text[data-pending="0"]').waitFor();
    /** Waits until all pages are at one revision and have nothing to send; returns the text. */
    const converge = async (...pages) => {
      for (const page of pages) await saved(page);
      const revisions = await Promise.all(pages.map((page) => page.locator("#revision").textContent()));
      const last = Math.max(...revisions.map(Number));
      for (const page of pages) await page.locator("#revision", { hasText: new RegExp(`^${last}$`) }).waitFor();
      const texts = await Promise.all(pages.map(value));
      for (const text of texts) assert.equal(text, texts[0]);
      return texts[0];
    };
    const caretAt = (page, at) => box(page).evaluate((box, at) => (box.focus(), box.setSelectionRange(at, at)), at);
    const clear = async (page) => {
      await box(page).fill("");
      await saved(page);
    };

    test("what two write at once comes together", async () => {
      const ada = await open("/text?name=Ada");
      const bob = await open("/text?name=Bob");
      await clear(ada);
      await box(ada).fill("one 🦀 two");
      await saved(ada);
      await bob.waitForFunction(() => document.getElementById("text").value === "one 🦀 two");
      await caretAt(ada, 0);
      await caretAt(bob, 10);
      await Promise.all([
        box(ada).pressSequentially("Ada writes at the beginning. ", { delay: 5 }),
        box(bob).pressSequentially(", and Bob at the end é🦀.", { delay: 5 }),
      ]);
      assert.equal(await converge(ada, bob), "Ada writes at the beginning. one 🦀 two, and Bob at the end é🦀.");
      // At the same place, and each deletes what the other has around it.
      await caretAt(ada, 29);
      await caretAt(bob, 29);
      await Promise.all([
        box(ada).pressSequentially("aaaaaaaaaa", { delay: 3 }),
        box(bob).pressSequentially("bbbbb", { delay: 3 }).then(async () => {
          for (let n = 0; n < 8; n += 1) await bob.keyboard.press("Backspace");
        }),
      ]);
      const text = await converge(ada, bob);
      assert.equal(text.replace(/[^a]/g, "").length >= 10, true);
      const late = await open("/text?name=Cleo");
      assert.equal(await value(late), text);
    });

    test("the other one's caret is seen, and is moved by what is written before it", async () => {
      const ada = await open("/text?name=Ada");
      const bob = await open("/text?name=Bob");
      await clear(ada);
      await box(ada).fill("0123456789");
      await saved(ada);
      await bob.waitForFunction(() => document.getElementById("text").value === "0123456789");
      await caretAt(bob, 7);
      const isBehind = (text) =>
        ada.waitForFunction((text) => {
          let found = "";
          let node = document.querySelector('.caret[data-name="Bob"]')?.previousSibling;
          for (; node; node = node.previousSibling) found = node.textContent + found;
          return found === text;
        }, text);
      await isBehind("0123456");
      await caretAt(ada, 2);
      await box(ada).pressSequentially("xyz");
      await isBehind("01xyz23456");
      await converge(ada, bob);
      assert.equal(await box(bob).evaluate((box) => box.selectionStart), 10);
      await bob.close();
      await ada.locator('.caret[data-name="Bob"]').waitFor({ state: "detached" });
    });

    test("what is written while the connection is lost is not", async () => {
      const ada = await open("/text?name=Ada", { lossy: true });
      const bob = await open("/text?name=Bob");
      await clear(bob);
      await box(bob).fill("begin end");
      await converge(ada, bob);
      await ada.context().setOffline(true);
      await ada.locator('#status:not([data-state="online"])').waitFor({ timeout: 60_000 });
      await caretAt(ada, 6);
      await box(ada).pressSequentially("offline ");
      await ada.locator("#pending", { hasText: "wait" }).waitFor();
      await caretAt(bob, 0);
      await box(bob).pressSequentially("A ");
      await saved(bob);
      await ada.context().setOffline(false);
      await ada.locator('#status[data-state="online"]').waitFor({ timeout: 4 * PATIENCE });
      assert.equal(await converge(ada, bob), "A begin offline end");
    });

    test("a full text is told, and stays what it was", async () => {
      const ada = await open("/text?name=Ada");
      const bob = await open("/text?name=Bob");
      await box(ada).fill("x".repeat(10_000));
      await saved(ada);
      await bob.waitForFunction(() => document.getElementById("text").value.length === 10_000);
      await box(bob).evaluate((box) => {
        box.value += "y";
        box.dispatchEvent(new InputEvent("input"));
      });
      await bob.locator("#problem", { hasText: "The text is full" }).waitFor();
      assert.equal(await converge(ada, bob), "x".repeat(10_000));
      await clear(ada);
    });

    test("pictures", async () => {
      const ada = await open("/text?name=Ada%20Lind");
      const bob = await open("/text?name=Bob%20Moreau");
      const text = "# Notes for the release\n\n- The board replays what was drawn before you came.\n- The dashboard comes back by itself.\n- Two carets in one line are no problem.\n\nWho writes the changelog?\n";
      await box(ada).fill(text);
      await converge(ada, bob);
      await pictures("text", "/text?name=Cleo", async (page) => {
        await page.waitForFunction((text) => document.getElementById("text").value === text, text);
        await caretAt(ada, text.indexOf("before you"));
        await box(bob).evaluate((box, [from, to]) => (box.focus(), box.setSelectionRange(from, to)), [
          text.indexOf("Two carets"),
          text.indexOf(" in one line"),
        ]);
        for (const name of ["Ada Lind", "Bob Moreau"]) await page.locator(`.caret[data-name="${name}"]`).waitFor();
      });
    });
  });
});
