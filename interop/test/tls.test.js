// TLS: the official clients over https:// and wss://, WebSockets over HTTP/2 (RFC 8441) with Node's own http2, and a
// browser that opens one on the connection of its page.

import assert from "node:assert/strict";
import { X509Certificate, createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import { after, before, describe, test } from "node:test";
import { chromium } from "playwright-core";
import { io } from "socket.io-client";
import { WebSocket } from "ws";
import { Server, missing, missingServer, reference } from "../lib/server.js";
import { PATIENCE, once, within } from "../lib/wait.js";

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const skip = (reference && "the reference programs have no TLS") || missingServer("tls");

/** A masked text frame, as a client sends it. */
function frame(text) {
  const payload = Buffer.from(text);
  const mask = Buffer.from([7, 11, 13, 17]);
  const head = payload.length < 126 ? [0x81, 0x80 | payload.length] : [0x81, 0xfe, payload.length >> 8, payload.length & 0xff];
  return Buffer.concat([Buffer.from(head), mask, payload.map((byte, at) => byte ^ mask[at % 4])]);
}

/** The texts of the frames that a server sends on `stream`; `take(n)` waits until there are n. */
function texts(stream) {
  const seen = [];
  let buffer = Buffer.alloc(0);
  let wake = () => {};
  stream.on("data", (chunk) => {
    buffer = Buffer.concat([buffer, chunk]);
    for (;;) {
      if (buffer.length < 2) break;
      const short = buffer[1];
      const head = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (buffer.length < head) break;
      const length = short < 126 ? short : short === 126 ? buffer.readUInt16BE(2) : Number(buffer.readBigUInt64BE(2));
      if (buffer.length < head + length) break;
      seen.push(buffer.subarray(head, head + length).toString());
      buffer = buffer.subarray(head + length);
    }
    wake();
  });
  return (n) =>
    within(
      PATIENCE,
      `${n} frames`,
      new Promise((resolve) => {
        wake = () => seen.length >= n && resolve(seen.slice(0, n));
        wake();
      }),
    );
}

describe("TLS", { skip }, () => {
  let server, url, ca;
  before(async () => {
    server = await Server.start("tls");
    url = `https://localhost:${server.port}`;
    ca = readFileSync(/the certificate is in (.+)/.exec(server.output)[1]);
  });
  after(() => server?.stop());

  for (const [label, options] of [
    ["over polling", { transports: ["polling"] }],
    ["over WebSocket", { transports: ["websocket"] }],
    ["with the upgrade", {}],
  ]) {
    test(`socket.io-client ${label}`, async () => {
      const socket = io(url, { ca, forceNew: true, ...options });
      await once(socket, "connect");
      const { engine } = socket.io;
      if (!options.transports && engine.transport.name === "polling") await once(engine, "upgrade");
      assert.equal(await socket.timeout(PATIENCE).emitWithAck("ping", "hello"), "pong: hello");
      assert.equal(await socket.timeout(PATIENCE).emitWithAck("secure"), true);
      const big = "x".repeat(200_000);
      const heard = once(socket, "message");
      socket.emit("broadcast", big);
      assert.deepEqual(await heard, [big]);
      socket.disconnect();
    });
  }

  test("a client that does not trust the certificate does not connect", async () => {
    const socket = io(url, { forceNew: true, reconnection: false, transports: ["websocket"] });
    const [error] = await once(socket, "connect_error");
    assert.match(String(error.description?.message ?? error.message), /self-signed|certificate|websocket error/);
    socket.close();
  });

  test("npm's ws", async () => {
    const socket = new WebSocket(`wss://localhost:${server.port}/ws`, { ca });
    await once(socket, "open");
    socket.send(JSON.stringify({ event: "ping", data: "hello", id: 1 }));
    const [data] = await once(socket, "message");
    assert.deepEqual(JSON.parse(data), { event: "ping", data: "pong: hello", id: 1 });
    socket.close(1000);
    const [code] = await once(socket, "close");
    assert.equal(code, 1000);
  });

  test("plain HTTP is told what is spoken here", async () => {
    const response = await within(
      PATIENCE,
      "an answer",
      new Promise((resolve, reject) => http.get(`http://127.0.0.1:${server.port}/`, resolve).on("error", reject)),
    );
    response.resume();
    assert.equal(response.statusCode, 400);
  });

  describe("HTTP/2", () => {
    let session;
    before(async () => {
      session = http2.connect(url, { ca });
      const [settings] = await once(session, "remoteSettings");
      assert.equal(settings.enableConnectProtocol, true);
    });
    after(() => session?.close());

    const fetch = async (path, { method = "GET", body } = {}) => {
      const stream = session.request({ ":method": method, ":path": path });
      stream.end(body);
      const [headers] = await once(stream, "response");
      let text = "";
      stream.setEncoding("utf8").on("data", (chunk) => (text += chunk));
      await once(stream, "end");
      return { status: headers[":status"], text };
    };
    const connect = async (path, headers = {}) => {
      const stream = session.request({
        ":method": "CONNECT",
        ":protocol": "websocket",
        ":path": path,
        "sec-websocket-version": "13",
        ...headers,
      });
      const [answer] = await once(stream, "response");
      return { stream, answer };
    };

    test("long-polling", async () => {
      const path = "/socket.io/?EIO=4&transport=polling";
      const open = await fetch(path);
      assert.equal(open.status, 200);
      const own = `${path}&sid=${JSON.parse(open.text.slice(1)).sid}`;
      assert.deepEqual(await fetch(own, { method: "POST", body: "40" }), { status: 200, text: "ok" });
      assert.match((await fetch(own)).text, /^40\{"sid":/);
      const answer = fetch(own);
      await fetch(own, { method: "POST", body: '420["ping","hello"]' });
      assert.equal((await answer).text, '430["pong: hello"]');
      await fetch(own, { method: "POST", body: "1" });
    });

    test("Socket.IO on a WebSocket of the session", async () => {
      const { stream, answer } = await connect("/socket.io/?EIO=4&transport=websocket");
      assert.equal(answer[":status"], 200);
      assert.equal(answer["sec-websocket-accept"], undefined);
      const seen = texts(stream);
      await seen(1);
      stream.write(frame("40"));
      await seen(2);
      stream.write(Buffer.concat([frame('420["ping","one"]'), frame('421["secure"]')]));
      const [open, joined, ...answers] = await seen(4);
      assert.match(open, /^0\{/);
      assert.match(joined, /^40\{/);
      assert.deepEqual(answers, ['430["pong: one"]', "431[true]"]);
      stream.close(http2.constants.NGHTTP2_CANCEL);
      await server.printed("/socket.io/ by HTTP/2.0");
    });

    test("several plain WebSockets beside each other", async () => {
      const sockets = await Promise.all([1, 2, 3].map(() => connect("/ws")));
      for (const [at, { stream, answer }] of sockets.entries()) {
        assert.equal(answer[":status"], 200);
        const seen = texts(stream);
        stream.write(frame(JSON.stringify({ event: "ping", data: `number ${at}` })));
        assert.deepEqual(JSON.parse((await seen(1))[0]), { event: "ping", data: `pong: number ${at}` });
      }
      for (const { stream } of sockets) stream.close();
    });

    test("refusals", async () => {
      for (const [path, headers, status] of [
        ["/nowhere", {}, 404],
        ["/ws", { "sec-websocket-version": "8" }, 400],
        ["/ws", { origin: "https://evil.example" }, 403],
        ["/ws", { ":protocol": "connect-udp" }, 404],
      ]) {
        const { stream, answer } = await connect(path, headers);
        assert.equal(answer[":status"], status, JSON.stringify([path, headers]));
        stream.close();
      }
    });
  });

  const noBrowser = missing(`the browser ${executablePath} (cargo xtask setup)`, existsSync(executablePath));
  test("Chromium opens its WebSocket on the HTTP/2 connection of the page", { skip: noBrowser }, async () => {
    const own = await Server.start("tls");
    const certificate = new X509Certificate(readFileSync(/the certificate is in (.+)/.exec(own.output)[1]));
    const key = certificate.publicKey.export({ type: "spki", format: "der" });
    const browser = await chromium.launch({
      executablePath,
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        `--ignore-certificate-errors-spki-list=${createHash("sha256").update(key).digest("base64")}`,
      ],
    });
    try {
      const page = await (await browser.newContext()).newPage();
      page.setDefaultTimeout(PATIENCE * 2);
      await page.goto(`https://localhost:${own.port}/`);
      await page.locator("#answer", { hasText: "pong: hello" }).waitFor();
      assert.equal(await page.locator("#page").textContent(), "h2");
      await own.printed("/ws by HTTP/2.0");
      assert.ok(!own.output.includes("/ws by HTTP/1.1"));
    } finally {
      await browser.close();
      await own.stop();
    }
  });
});
