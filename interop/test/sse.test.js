// Server-Sent Events with the clients that people use: npm's eventsource, curl, and a browser; many streams at once, and
// clients that do not read. And the polling examples beside them.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import http2 from "node:http2";
import https from "node:https";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { EventSource } from "eventsource";
import { chromium } from "playwright-core";
import { io } from "socket.io-client";
import { Server, missing, missingServer, reference } from "../lib/server.js";
import { PATIENCE, once, within } from "../lib/wait.js";

const own = (name) => (reference ? "Gatewire's own" : missingServer(name));
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** The source's next `count` events of that name. */
function events(source, name, count) {
  const seen = [];
  return within(
    PATIENCE * 2,
    `${count} times the event "${name}"`,
    new Promise((resolve) => {
      const hear = (event) => {
        seen.push(event);
        if (seen.length < count) return;
        source.removeEventListener(name, hear);
        resolve(seen);
      };
      source.addEventListener(name, hear);
    }),
  );
}

/** Ids count on without a gap. */
function assertConsecutive(list) {
  const numbers = list.map((id) => Number(id.split("-")[1]));
  numbers.forEach((number, at) => assert.equal(number, numbers[0] + at, list.join(" ")));
}

describe("a ticker", { skip: own("sse") }, () => {
  let server;
  before(async () => {
    server = await Server.start("sse", { env: { EVERY: "20", RETRY: "50" } });
  });
  after(() => server?.stop());

  test("reaches npm's eventsource", async () => {
    const source = new EventSource(`${server.url}/prices/ticker`);
    const prices = await events(source, "price", 3);
    source.close();
    assert.equal(JSON.parse(prices[0].data).symbol, "GW");
    assertConsecutive(prices.map((event) => event.lastEventId));
  });

  test("goes on after a lost connection where it was", async () => {
    // A proxy that is cut after the third price, and lets the second connection through.
    const { createServer } = await import("node:net");
    let connections = 0;
    const pairs = [];
    const proxy = createServer((client) => {
      connections += 1;
      const upstream = connect(server.port, "127.0.0.1");
      pairs.push(client, upstream);
      client.pipe(upstream).pipe(client);
      for (const side of [client, upstream]) side.on("error", () => {});
    });
    await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const source = new EventSource(`http://127.0.0.1:${proxy.address().port}/prices/ticker`);
    // One listener for all of it: an event may come in any moment between.
    const ids = [];
    source.addEventListener("price", (event) => ids.push(event.lastEventId));
    await events(source, "price", 3);
    const rest = events(source, "price", 6);
    pairs.forEach((side) => side.destroy());
    await rest;
    source.close();
    proxy.close();
    assert.ok(connections >= 2);
    assertConsecutive(ids);
  });

  const noCurl = missing("curl (cargo xtask setup)", !spawnSync("curl", ["--version"]).error);
  test("tells curl the headers and the format", { skip: noCurl }, async () => {
    const curl = spawn("curl", ["-sNi", "--max-time", "5", `${server.url}/prices/ticker`]);
    let output = "";
    const seen = new Promise((resolve, reject) => {
      curl.once("error", reject);
      curl.stdout.setEncoding("utf8").on("data", (chunk) => {
        output += chunk;
        if (/event: price\n.*\n.*\n\n/.test(output)) resolve();
      });
    });
    await within(PATIENCE, "an event", seen);
    curl.kill();
    const [head, body] = output.split("\r\n\r\n");
    assert.match(head, /^HTTP\/1\.1 200 OK/);
    assert.match(head, /content-type: text\/event-stream/i);
    assert.match(head, /x-accel-buffering: no/i);
    assert.match(body, /^\nretry: 50\n\nevent: price\nid: \w+-\d+\ndata: \{"symbol":"GW","cents":\d+\}\n\n/);
  });

  test("answers a POST with a stream, and its errors with a status", async () => {
    const order = (count) =>
      fetch(`${server.url}/prices/orders`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ count }),
      });
    assert.equal(await (await order(2)).text(), "\ndata: 1 of 2\n\ndata: 2 of 2\n\n");
    const refused = await order(0);
    assert.equal(refused.status, 400);
    assert.deepEqual(await refused.json(), { message: "order something", error: "Bad Request", statusCode: 400 });
    const head = await fetch(`${server.url}/prices/ticker`, { method: "HEAD" });
    assert.equal(head.headers.get("content-type"), "text/event-stream");
  });

  test("goes to five thousand clients at once", async () => {
    const COUNT = 5000;
    let reached = 0;
    const sockets = [];
    const all = new Promise((resolve, reject) => {
      const open = () => {
        const socket = connect(server.port, "127.0.0.1");
        sockets.push(socket);
        let text = "";
        socket.setEncoding("latin1");
        socket.once("error", reject);
        socket.on("data", (chunk) => {
          if (text === undefined) return;
          text += chunk;
          if (!text.includes("event: price")) return;
          text = undefined;
          reached += 1;
          if (reached === COUNT) resolve();
        });
        socket.write("GET /prices/ticker HTTP/1.1\r\nHost: test\r\n\r\n");
      };
      for (let at = 0; at < COUNT; at += 1) open();
    });
    await within(60_000, `${COUNT} clients to hear of a price (${reached} have)`, all);
    sockets.forEach((socket) => socket.destroy());
    const source = new EventSource(`${server.url}/prices/ticker`);
    await events(source, "price", 1);
    source.close();
  });

  test("tells clients when to come back if it ends", async () => {
    const ending = await Server.start("sse");
    const response = await fetch(`${ending.url}/prices/ticker`);
    ending.stop("SIGTERM");
    const text = await within(PATIENCE, "the end of the stream", response.text());
    const [, wait] = /retry: (\d+)\n\n$/.exec(text) ?? [];
    assert.ok(wait >= 1000 && wait <= 5000, text);
  });
});

describe("rooms over Server-Sent Events", { skip: own("sse_rooms") }, () => {
  let server;
  before(async () => {
    server = await Server.start("sse_rooms");
  });
  after(() => server?.stop());

  test("are those of Socket.IO clients", async () => {
    const lobby = new EventSource(`${server.url}/chat/rooms/lobby`);
    const other = new EventSource(`${server.url}/chat/rooms/other`);
    const strange = [];
    other.addEventListener("said", (event) => strange.push(event.data));
    await within(PATIENCE, "both to be open", Promise.all([lobby, other].map((source) => new Promise((resolve) => (source.onopen = resolve)))));
    const socket = io(`${server.url}/chat`, { transports: ["websocket"], forceNew: true });
    await once(socket, "connect");
    socket.emit("join", "lobby");
    const heard = Promise.all([events(lobby, "said", 1), once(socket, "said")]);
    socket.emit("say", "lobby", "hello");
    const [[event], [said]] = await heard;
    assert.deepEqual(JSON.parse(event.data), { text: "hello", listeners: 3 });
    assert.deepEqual(said, { text: "hello", listeners: 3 });
    const posted = Promise.all([events(lobby, "said", 1), once(socket, "said")]);
    await fetch(`${server.url}/chat/rooms/lobby`, { method: "POST", body: "by HTTP" });
    assert.equal(JSON.parse((await posted)[0][0].data).text, "by HTTP");
    assert.deepEqual(strange, []);
    lobby.close();
    other.close();
    socket.close();
  });

  test("a client that does not read is cut off, and nobody waits for it", async () => {
    const lazy = connect(server.port, "127.0.0.1");
    lazy.write("GET /chat/rooms/loud HTTP/1.1\r\nHost: test\r\n\r\n");
    await once(lazy, "readable");
    lazy.pause();
    const source = new EventSource(`${server.url}/chat/rooms/loud`);
    await within(PATIENCE, "the source to be open", new Promise((resolve) => (source.onopen = resolve)));
    const gone = new Promise((resolve) => lazy.once("error", resolve).once("close", resolve));
    const text = "x".repeat(1_000_000);
    for (let at = 0; at < 20; at += 1) {
      const heard = events(source, "said", 1);
      await fetch(`${server.url}/chat/rooms/loud`, { method: "POST", body: text });
      await heard;
    }
    lazy.resume();
    await within(PATIENCE, "the client to be cut off", gone);
    source.close();
  });
});

describe("EventSource in Chromium", {
  skip: own("sse") || missing(`the browser ${executablePath} (cargo xtask setup)`, existsSync(executablePath)),
}, () => {
  test("comes back to a server that was restarted, and hears that it has missed something", async () => {
    const env = { EVERY: "20", RETRY: "50" };
    let server = await Server.start("sse", { env });
    const { port } = server;
    const browser = await chromium.launch({
      executablePath,
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
    });
    try {
      const page = await browser.newPage();
      page.setDefaultTimeout(PATIENCE * 3);
      await page.goto(`${server.url}/nothing`);
      await page.evaluate(() => {
        window.ids = [];
        window.resets = 0;
        const source = new EventSource("/prices/ticker");
        source.addEventListener("price", (event) => window.ids.push(event.lastEventId));
        source.addEventListener("reset", () => (window.resets += 1));
      });
      await page.waitForFunction(() => window.ids.length >= 3);
      const before = await page.evaluate(() => window.ids.slice());
      assertConsecutive(before);
      await server.stop();
      server = await Server.start("sse", { port, env });
      await page.waitForFunction((epoch) => window.ids.filter((id) => !id.startsWith(epoch)).length >= 3, before[0].split("-")[0]);
      assert.equal(await page.evaluate(() => window.resets), 1);
    } finally {
      await browser.close();
      await server.stop();
    }
  });
});

describe("listeners over TLS", { skip: own("tls") }, () => {
  let server, socket;
  before(async () => {
    server = await Server.start("tls");
    const url = `https://127.0.0.1:${server.port}`;
    socket = io(url, { transports: ["websocket"], forceNew: true, rejectUnauthorized: false });
    await once(socket, "connect");
  });
  after(async () => {
    socket?.close();
    await server?.stop();
  });

  /** Reads a stream until it holds `text`. */
  const reads = (stream, text) => {
    let seen = "";
    stream.setEncoding("utf8");
    return within(
      PATIENCE,
      `the stream to hold ${JSON.stringify(text)}`,
      new Promise((resolve, reject) => {
        stream.once("error", reject);
        stream.on("data", (chunk) => {
          seen += chunk;
          if (seen.includes(text)) resolve();
        });
      }),
    );
  };

  test("over HTTP/2, ten streams share a connection, and one that ends leaves the others", async () => {
    const session = http2.connect(`https://127.0.0.1:${server.port}`, { rejectUnauthorized: false });
    const streams = Array.from({ length: 10 }, () => session.request({ ":path": "/feed" }));
    const heads = await Promise.all(streams.map((stream) => once(stream, "response")));
    for (const [head] of heads) {
      assert.equal(head[":status"], 200);
      assert.equal(head["content-type"], "text/event-stream");
      assert.equal(head.connection, undefined);
    }
    const all = Promise.all(streams.map((stream) => reads(stream, 'event: message\ndata: "to all"\n\n')));
    socket.emit("broadcast", "to all");
    await all;
    const [first, ...rest] = streams;
    first.close();
    const others = Promise.all(rest.map((stream) => reads(stream, '"to the others"')));
    socket.emit("broadcast", "to the others");
    await others;
    session.close();
    rest.forEach((stream) => stream.close());
  });

  test("over HTTP/1.1", async () => {
    const request = https.get(`https://127.0.0.1:${server.port}/feed`, { rejectUnauthorized: false });
    const [response] = await once(request, "response");
    assert.equal(response.httpVersion, "1.1");
    const heard = reads(response, '"over TLS"');
    socket.emit("broadcast", "over TLS");
    await heard;
    request.destroy();
  });
});

describe("long-polling", { skip: own("long_poll") }, () => {
  test("holds a request until there is news, or for its time", async () => {
    const server = await Server.start("long_poll", { env: { HOLD: "300" } });
    const ask = async (cursor) => {
      const response = await fetch(`${server.url}/score${cursor === undefined ? "" : `?cursor=${cursor}`}`);
      return response.status === 204 ? undefined : response.json();
    };
    const first = await ask();
    assert.deepEqual(first.data, { home: 0, away: 0 });
    assert.equal(await ask(first.cursor), undefined);
    const held = ask(first.cursor);
    await fetch(`${server.url}/score/home`, { method: "POST" });
    const news = await held;
    assert.deepEqual(news.data, { home: 1, away: 0 });
    assert.ok(news.cursor > first.cursor);
    await server.stop();
  });
});

describe("polling", { skip: own("polling") }, () => {
  test("costs nothing while there is nothing new", async () => {
    const server = await Server.start("polling");
    const poll = (etag) => fetch(`${server.url}/tasks`, { headers: etag ? { "if-none-match": etag } : {} });
    const first = await poll();
    const etag = first.headers.get("etag");
    assert.deepEqual(await first.json(), []);
    const again = await poll(etag);
    assert.equal(again.status, 304);
    assert.equal(await again.text(), "");
    const headers = { "content-type": "application/json" };
    await fetch(`${server.url}/tasks`, { method: "POST", headers, body: '{"title":"write"}' });
    assert.deepEqual(await (await poll(etag)).json(), [{ title: "write", done: false }]);
    assert.equal((await fetch(`${server.url}/tasks/9`, { method: "PATCH" })).status, 404);
    await server.stop();
  });
});
