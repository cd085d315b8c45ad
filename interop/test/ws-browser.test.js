// The browser's own WebSocket, in headless Chromium, against plain WebSockets: messages, compression, subprotocols, close
// codes as a page sees them, and pages of other origins.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { chromium } from "playwright-core";
import { Server, missing, missingServer, reference } from "../lib/server.js";
import { PATIENCE, within } from "../lib/wait.js";

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const skip =
  (reference && "the original has no plain WebSockets") ||
  missing(`the browser ${executablePath} (cargo xtask setup)`, existsSync(executablePath)) ||
  missingServer("events");

/** In the page: a WebSocket with `next()`, `closed`, and `opened`. */
function defineOpen() {
  window.openSocket = (url, protocols) => {
    const socket = new WebSocket(url, protocols);
    socket.binaryType = "arraybuffer";
    const [messages, waiting] = [[], []];
    socket.onmessage = ({ data }) => (waiting.length ? waiting.shift()(data) : messages.push(data));
    socket.next = () => new Promise((resolve) => (messages.length ? resolve(messages.shift()) : waiting.push(resolve)));
    socket.closed = new Promise((resolve) => (socket.onclose = ({ code, reason, wasClean }) => resolve({ code, reason, wasClean })));
    socket.opened = new Promise((resolve) => {
      socket.onopen = () => resolve(true);
      socket.onerror = () => resolve(false);
    });
    return socket;
  };
}

describe("the browser's own WebSocket", { skip }, () => {
  let site, browser, page;
  before(async () => {
    // Of another origin than every server here.
    site = createServer((_, response) => response.setHeader("content-type", "text/html").end("<p>"));
    await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
    browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--no-first-run"] });
    page = await browser.newPage();
    await page.addInitScript(defineOpen);
    await page.goto(`http://127.0.0.1:${site.address().port}/`);
  });
  after(async () => {
    await browser?.close();
    site?.close();
  });
  const inPage = (script, argument) => within(PATIENCE * 2, "the page", page.evaluate(script, argument));
  const withServer = async (name, env, run) => {
    const server = await Server.start(name, { env });
    try {
      await run(server);
    } finally {
      await server.stop();
    }
  };

  test("speaks with the gateways in envelopes", () =>
    withServer("events", { ADAPTER: "ws" }, async (server) => {
      const heard = await inPage(async (url) => {
        const [one, other] = [window.openSocket(url), window.openSocket(url)];
        await Promise.all([one.opened, other.opened]);
        one.send(JSON.stringify({ event: "ping", data: "é 🦀", id: "x" }));
        const answer = JSON.parse(await one.next());
        one.send(JSON.stringify({ event: "broadcast", data: "to all" }));
        const news = [JSON.parse(await one.next()), JSON.parse(await other.next())];
        one.send(new Uint8Array([1, 2]));
        const fault = JSON.parse(await one.next());
        for (let n = 0; n < 10; n++) one.send("no");
        const closed = await one.closed;
        other.close(4000, "enough");
        return { answer, news, fault, closed, own: await other.closed };
      }, server.wsUrl);
      assert.deepEqual(heard.answer, { event: "ping", data: "pong: é 🦀", id: "x" });
      assert.deepEqual(heard.news, Array(2).fill({ event: "message", data: "to all" }));
      assert.equal(heard.fault.data.message, "a binary message came, but every message is text");
      assert.deepEqual(heard.closed, { code: 1008, reason: "too many messages that are none", wasClean: true });
      assert.deepEqual([heard.own.code, heard.own.wasClean], [4000, true]);
    }));

  test("echoes what it is sent, compressed", () =>
    withServer("ws_echo", {}, async (server) => {
      const seen = await inPage(async (url) => {
        const socket = window.openSocket(url);
        await socket.opened;
        const wrong = [];
        for (const size of [0, 1, 126, 65_536, 3_000_000]) {
          const text = "é✓".repeat(size / 2);
          socket.send(text);
          if ((await socket.next()) !== text) wrong.push(`text of ${size}`);
          const bytes = new Uint8Array(size).map((_, at) => (at * 7919) >> 3);
          socket.send(bytes);
          const back = new Uint8Array(await socket.next());
          if (back.length !== size || back.some((byte, at) => byte !== bytes[at])) wrong.push(`${size} bytes`);
        }
        const { extensions } = socket;
        socket.close();
        return { wrong, extensions, closed: await socket.closed };
      }, server.wsUrl);
      assert.deepEqual(seen.wrong, []);
      assert.match(seen.extensions, /^permessage-deflate/);
      assert.deepEqual([seen.closed.code, seen.closed.wasClean], [1005, true]);
    }));

  test("a page of another origin is refused, unless it is named", () =>
    withServer("showcase", {}, async (server) => {
      const closed = await inPage(async (url) => {
        const socket = window.openSocket(url);
        return { opened: await socket.opened, ...(await socket.closed) };
      }, `${server.wsUrl}/ws`);
      assert.deepEqual([closed.opened, closed.code], [false, 1006]);
      const own = await browser.newPage();
      await own.addInitScript(defineOpen);
      await own.goto(`${server.url}/client/socket.io.js`);
      const socketIo = "/socket.io/?EIO=4&transport=websocket";
      const opened = await own.evaluate(
        (urls) => Promise.all(urls.map((url) => window.openSocket(url).opened)),
        [`${server.wsUrl}/ws`, `${server.wsUrl}${socketIo}`],
      );
      assert.deepEqual(opened, [true, true], "the server's own page");
      const other = await inPage((url) => window.openSocket(url).opened, `${server.wsUrl}${socketIo}`);
      assert.equal(other, false, "Socket.IO has the same rule");
      await own.close();
    }));

  test("the server's end is told with 1001", async () => {
    const server = await Server.start("events", { env: { ADAPTER: "ws" } });
    await inPage(async (url) => {
      window.lasting = window.openSocket(url);
      return window.lasting.opened;
    }, server.wsUrl);
    await server.stop("SIGTERM");
    const closed = await inPage(() => window.lasting.closed);
    assert.deepEqual([closed.code, closed.wasClean], [1001, true]);
  });
});
