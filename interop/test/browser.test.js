// The showcase's chat in a real browser: pages talk to each other through the gateway, over Socket.IO and over the browser's
// own WebSocket. The pictures it takes are kept in artefacts/, for people to look at.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, afterEach, before, describe, test } from "node:test";
import { artefacts, launch, missingBrowser, overflow, PHONE } from "../lib/browser.js";
import { Server, missingServer } from "../lib/server.js";
import { PATIENCE } from "../lib/wait.js";

const skip = missingBrowser() || missingServer("showcase");

describe("showcase in Chromium", { skip }, () => {
  let server, browser, contexts;
  const problems = [];
  before(async () => {
    mkdirSync(artefacts, { recursive: true });
    server = await Server.start("showcase");
    browser = await launch();
    contexts = [];
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });
  afterEach(async () => {
    for (const context of contexts.splice(0)) await context.close();
    assert.deepEqual(problems.splice(0), [], "errors on the page");
  });

  const open = async (name, { path = "/", query = "", room = "lobby", ...options } = {}) => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    contexts.push(context);
    context.setDefaultTimeout(PATIENCE * 2);
    const page = await context.newPage();
    page.on("pageerror", (error) => problems.push(`${name}: ${error}`));
    page.on("console", (message) => message.type() === "error" && problems.push(`${name}: ${message.text()}`));
    await page.goto(`${server.url}${path}?name=${name}${query}#${room}`);
    await page.locator('#status[data-state="online"]').waitFor();
    await page.locator("#people li", { hasText: name }).waitFor();
    return page;
  };
  const say = async (page, text) => {
    await page.getByLabel("Message", { exact: true }).fill(text);
    await page.keyboard.press("Enter");
  };
  const hears = (page, text) => page.locator(".message .text", { hasText: text }).waitFor();

  for (const [label, query] of [
    ["with upgrade", ""],
    ["over polling only", "&transport=polling"],
    ["over websocket only", "&transport=websocket"],
  ]) {
    test(`two windows chat, ${label}`, async () => {
      const room = `room-${label.length}`;
      const ada = await open("Ada", { query, room });
      const bob = await open("Bob", { query, room });
      await ada.locator("#people li", { hasText: "Bob" }).waitFor();
      assert.equal(await ada.locator("#people li").count(), 2);

      await say(ada, "Hello Bob <b>!</b>");
      await hears(bob, "Hello Bob <b>!</b>");
      await say(bob, "Hello Ada 🦀");
      await hears(ada, "Hello Ada 🦀");

      const last = query.endsWith("polling") ? "polling" : "websocket";
      await ada.locator("#transport", { hasText: last }).waitFor();
      await ada.locator("#rtt", { hasText: /\d/ }).waitFor();
    });
  }

  const native = { path: "/native" };

  test("the browser's own WebSocket and Socket.IO chat in the same room", async () => {
    const room = "mixed";
    const ada = await open("Ada", { room, query: "&transport=websocket" });
    const bob = await open("Bob", { room, ...native });
    const cleo = await open("Cleo", { room, ...native });
    for (const page of [ada, bob, cleo]) await page.locator("#count", { hasText: "3" }).waitFor();
    await ada.locator("#transport", { hasText: /^websocket$/ }).waitFor();
    await bob.locator("#transport", { hasText: "native" }).waitFor();
    for (const [who, text] of [[ada, "Hello from Socket.IO 🦀"], [bob, "Hello from a plain one <b>é</b>"]]) {
      await say(who, text);
      for (const page of [ada, bob, cleo]) await hears(page, text);
    }
    assert.equal(await bob.locator(".message.mine").count(), 1, "the page knows what it has said itself");
    await bob.locator("#people li", { hasText: "Bob" }).locator("small", { hasText: "you" }).waitFor();
    await bob.getByLabel("Message", { exact: true }).pressSequentially("wait");
    await ada.locator("#typing", { hasText: "Bob is typing" }).waitFor();
    await cleo.locator("#typing", { hasText: "Bob is typing" }).waitFor();
    await bob.locator("#rtt", { hasText: /\d/ }).waitFor();
    await cleo.close();
    await ada.locator("#people li", { hasText: "Cleo" }).waitFor({ state: "detached" });
  });

  test("an error is told on the native page, too", async () => {
    const ada = await open("Ada", { room: "refusals", ...native });
    await ada.evaluate(() => document.getElementById("text").removeAttribute("maxlength"));
    await say(ada, "x".repeat(501));
    await ada.locator("#problem").filter({ hasText: /a message has 1 to 500 characters/ }).waitFor();
    await say(ada, "short enough");
    await hears(ada, "short enough");
  });

  test("the pages lead to each other, and the room stays", async () => {
    const ada = await open("Ada", { room: "coffee" });
    await ada.getByRole("link", { name: "Native chat" }).click();
    await ada.locator("#transport", { hasText: "native" }).waitFor();
    await ada.locator("#room", { hasText: "coffee" }).waitFor();
    assert.equal(await ada.locator('#pages [aria-current="page"]').textContent(), "Native chat");
  });

  test("the other one's typing is seen, and ends", async () => {
    const ada = await open("Ada", { room: "typing" });
    const bob = await open("Bob", { room: "typing" });
    await ada.locator("#people li", { hasText: "Bob" }).waitFor();
    await bob.getByLabel("Message", { exact: true }).pressSequentially("wait, I");
    await ada.locator("#typing", { hasText: "Bob is typing" }).waitFor();
    assert.equal(await bob.locator("#typing").textContent(), "");
    await bob.keyboard.press("Enter");
    await hears(ada, "wait, I");
    await ada.locator("#typing").filter({ hasNotText: "typing" }).waitFor({ state: "attached" });
  });

  test("rooms are apart, and the list tells who is where", async () => {
    const ada = await open("Ada", { room: "lobby" });
    const bob = await open("Bob", { room: "lobby" });
    await bob.getByLabel("Name of a new room").fill("Back Office");
    await bob.keyboard.press("Enter");
    await bob.locator("#room", { hasText: "back-office" }).waitFor();
    await ada.locator("#people li", { hasText: "Bob" }).waitFor({ state: "detached" });
    await say(bob, "only here");
    await hears(bob, "only here");
    await say(ada, "only there");
    await hears(ada, "only there");
    assert.equal(await ada.locator(".message", { hasText: "only here" }).count(), 0);
    await ada.getByRole("button", { name: "back-office" }).click();
    await hears(ada, "only here");
    assert.equal(await ada.locator(".message", { hasText: "only there" }).count(), 0);
  });

  test("who closes the window leaves the list", async () => {
    const ada = await open("Ada", { room: "leaving" });
    const bob = await open("Bob", { room: "leaving" });
    await ada.locator("#people li", { hasText: "Bob" }).waitFor();
    await bob.locator("#transport", { hasText: "websocket" }).waitFor();
    await bob.close();
    await ada.locator("#people li", { hasText: "Bob" }).waitFor({ state: "detached" });
  });

  test("a name that is refused is told", async () => {
    const ada = await open("Ada", { room: "refusals" });
    await ada.evaluate(() => document.getElementById("text").removeAttribute("maxlength"));
    await say(ada, "x".repeat(501));
    await ada.locator("#problem").filter({ hasText: /\w/ }).waitFor();
    await say(ada, "short enough");
    await hears(ada, "short enough");
  });

  for (const [label, path] of [["Socket.IO", "/"], ["native", "/native"]]) {
    test(`reconnects when the server comes back, ${label}`, async () => {
      const own = await Server.start("showcase");
      const everyone = server;
      server = own;
      try {
        const ada = await open("Ada", { room: "again", path });
        await own.stop();
        await ada.locator('#status[data-state="connecting"], #status[data-state="offline"]').waitFor();
        server = await Server.start("showcase", { port: own.port });
        await ada.locator('#status[data-state="online"]').waitFor({ timeout: 4 * PATIENCE });
        await say(ada, "I am back");
        await hears(ada, "I am back");
        // The browser reports the requests that failed meanwhile; that is what this case is about.
        problems.splice(0);
      } finally {
        await server.stop();
        server = everyone;
      }
    });
  }

  test("pictures", async () => {
    const talk = [
      ["ada", "Morning! Who else is up?"],
      ["ada", "I have the plot open: my round trip is on the right."],
      ["bob", "Mine is there too. I see you typing as well."],
      ["cleo", "I came in over long-polling and was upgraded while you talked."],
      ["ada", "So three windows, one gateway."],
      ["bob", "Good. Coffee is the next room."],
      ["bob", "Are you coming?"],
    ];
    const room = "gateways";
    const pages = {
      ada: await open("Ada Lind", { room }),
      bob: await open("Bob Moreau", { room }),
      cleo: await open("Cleo", { room }),
    };
    for (const [who, text] of talk) {
      await say(pages[who], text);
      await hears(pages.ada, text);
    }
    const dark = await open("Dara", { room, colorScheme: "dark" });
    const phone = await open("Eli", {
      room,
      ...PHONE,
    });
    const plain = await open("Fay", { room, ...native });
    const plainPhone = await open("Gus", {
      room,
      ...native,
      ...PHONE,
    });
    const all = [...Object.values(pages), dark, phone, plain, plainPhone];
    for (const page of all) await page.locator("#count", { hasText: "7" }).waitFor();
    // A plot needs some samples to be seen.
    const drawn = () => Number(document.getElementById("rtt").dataset.samples) >= 12;
    await phone.waitForFunction(drawn, undefined, { timeout: 30_000 });
    await pages.bob.getByLabel("Message", { exact: true }).pressSequentially("Lunch");
    for (const [page, file] of [
      [pages.ada, "showcase.png"],
      [dark, "showcase-dark.png"],
      [phone, "showcase-phone.png"],
      [plain, "showcase-native.png"],
      [plainPhone, "showcase-native-phone.png"],
    ]) {
      await page.locator("#typing", { hasText: "Bob Moreau is typing" }).waitFor();
      await page.screenshot({ path: `${artefacts}${file}` });
      assert.equal(await overflow(page), 0, `${file} scrolls sideways`);
    }
  });
});
