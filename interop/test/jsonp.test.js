// Polling by script tags (JSONP): by hand against the `engine_echo` program, and with socket.io-client 2 in Chromium, the
// only official client that still does it, against the `interop_server` program.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";
import { chromium } from "playwright-core";
import { request } from "../lib/raw.js";
import { Server, missing, missingServer } from "../lib/server.js";
import { PATIENCE, within } from "../lib/wait.js";

const env = { EIO3: "1" };

describe("JSONP", { skip: missingServer("engine_echo") }, () => {
  let server, http;
  before(async () => {
    server = await Server.start("engine_echo", { env });
    http = `${server.url}/engine.io/`;
  });
  after(() => server?.stop());

  /** Runs the script and returns what it gives to its callback. */
  const called = (script, index) => {
    let argument;
    const ___eio = { [index]: (value) => (argument = value) };
    new Function("___eio", script)(___eio);
    return argument;
  };
  const form = (payload) => ({ method: "POST", body: new URLSearchParams({ d: payload }) });

  for (const [version, echo, payload] of [
    [4, "4a\u2028 \"b\"\x1ebAQID", "4a\u2028 \"b\"\x1ebAQID"],
    [3, "5:4éé\u2028!10:b4AQIDBA==", "5:4éé\u2028!10:b4AQIDBA=="],
  ]) {
    test(`a session of protocol ${version}`, async () => {
      const url = `${http}?EIO=${version}&transport=polling&j=7&b64=1`;
      const opened = await request(url);
      assert.equal(opened.status, 200);
      assert.match(opened.headers.get("content-type"), /^text\/plain/);
      assert.match(opened.body, /^___eio\[7\]\(".*"\);$/);
      const { sid } = JSON.parse(called(opened.body, 7).replace(/^[^{]*/, ""));
      const session = `${url}&sid=${sid}`;
      const posted = await request(session, form(payload));
      assert.deepEqual([posted.status, posted.body], [200, "ok"]);
      let polled = "";
      while (!polled.includes("AQID")) polled += called((await request(session)).body, 7);
      assert.equal(polled.slice(-echo.length), echo);
    });
  }

  test("a line end and an escaped one", async () => {
    const url = `${http}?EIO=4&transport=polling&j=0`;
    const { sid } = JSON.parse(called((await request(url)).body, 0).slice(1));
    await request(`${url}&sid=${sid}`, form("4a\\nb\\\\nc"));
    assert.equal(called((await request(`${url}&sid=${sid}`)).body, 0), "4a\nb\\nc");
  });

  test("only the digits of the number get into the script", async () => {
    const { body } = await request(`${http}?EIO=4&transport=polling&j=1](0);alert(2)//3`);
    assert.match(body, /^___eio\[1023\]\("0\{/);
  });

  test("errors are what they always are", async () => {
    const { status, body } = await request(`${http}?EIO=4&transport=polling&j=0&sid=abc`);
    assert.equal(status, 400);
    assert.deepEqual(JSON.parse(body), { code: 1, message: "Session ID unknown" });
  });
});

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const skip =
  missing(`the browser ${executablePath} (cargo xtask setup)`, existsSync(executablePath)) || missingServer("interop_server");

describe("socket.io-client 2 in Chromium, by script tags", { skip }, () => {
  let server, site, browser;
  before(async () => {
    server = await Server.start("interop_server", { env });
    // A page of another origin than the server, which is what script tags are for.
    site = createServer((_, response) => response.setHeader("content-type", "text/html").end("<p>"));
    await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
    browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--no-first-run"] });
  });
  after(async () => {
    await browser?.close();
    site?.close();
    await server?.stop();
  });

  test("connects, asks, is answered, and hears", async () => {
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE * 2);
    await page.goto(`http://127.0.0.1:${site.address().port}/`);
    const path = createRequire(import.meta.url).resolve("socket.io-client-v2/dist/socket.io.js");
    await page.addScriptTag({ path });
    const talk = page.evaluate(async (url) => {
      const socket = window.io(url, { forceJSONP: true, transports: ["polling"], forceNew: true, reconnection: false });
      const ask = (event, ...args) => new Promise((resolve) => socket.emit(event, ...args, resolve));
      await new Promise((resolve, reject) => socket.on("connect", resolve).on("connect_error", reject));
      const { transport } = await ask("whoami");
      const scripts = document.querySelectorAll("script[src*='&j=']").length;
      const echo = await ask("echo", "line\nend, \\n, \u2028 and é 🦀");
      const heard = new Promise((resolve) => socket.on("news", resolve));
      await ask("everyone", { to: "all" });
      const news = await heard;
      socket.close();
      return { transport, scripts, echo, news };
    }, server.url);
    const { transport, scripts, echo, news } = await within(PATIENCE * 2, "the talk by script tags", talk);
    assert.equal(transport, "polling");
    assert.ok(scripts > 0, "script tags are in the page");
    assert.equal(echo, "line\nend, \\n, \u2028 and é 🦀");
    assert.deepEqual(news, { to: "all" });
  });
});
