// Where Gatewire differs from the Node server on purpose (docs/differences-from-node.md), as far as it is seen on the wire.
// Each case says what Gatewire does, and with REFERENCE=1 what the original does: a difference that has gone there fails
// here.

import assert from "node:assert/strict";
import net from "node:net";
import { after, before, describe, test } from "node:test";
import { Peer, Polling, request } from "../lib/raw.js";
import { Server, missingServer, reference } from "../lib/server.js";
import { pause } from "../lib/wait.js";

/** Longer than ping interval and timeout of the programs together. */
const LONG = 1_000;

/** Writes `text` on a TCP connection of its own; what has come back after `ms`, or when the server has closed it. */
async function exchange(server, text, ms) {
  const socket = net.connect(server.port, "127.0.0.1");
  let answer = "";
  socket.setEncoding("latin1").on("data", (chunk) => (answer += chunk));
  socket.on("error", () => {});
  const ended = new Promise((resolve) => socket.once("close", () => resolve(true)));
  socket.write(text);
  const isEnded = await Promise.race([ended, pause(ms).then(() => false)]);
  socket.destroy();
  return { answer, isEnded };
}

const upgrade = (target) =>
  `GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

describe("differences of Engine.IO", { skip: missingServer("engine_echo") }, () => {
  let server, http, ws;
  before(async () => {
    server = await Server.start("engine_echo");
    http = `${server.url}/engine.io/`;
    ws = `${server.wsUrl}/engine.io/?EIO=4&transport=websocket`;
  });
  after(() => server?.stop());

  test("a close packet on WebSocket is acted upon", async () => {
    const peer = new Peer(ws, { pong: true });
    await peer.next();
    peer.send("1");
    if (reference) {
      peer.send("4still here");
      assert.equal(await peer.next(), "4still here");
      return peer.close();
    }
    assert.deepEqual(await peer.closed(), { code: 1005, reason: "" });
  });

  test("who falls silent in the upgrade is found out", async () => {
    const session = await Polling.open(http);
    assert.equal((await session.get()).body, "2");
    const peer = new Peer(`${ws}&sid=${session.sid}`);
    await peer.opened;
    peer.send("2probe");
    assert.equal(await peer.next(), "3probe");
    peer.send("5");
    const end = await Promise.race([peer.ended, pause(2 * LONG).then(() => "kept")]);
    // Neither a ping nor an end, for ever.
    if (reference) assert.deepEqual([end, peer.pings], ["kept", 0]);
    else assert.deepEqual(end, { code: 1005, reason: "" });
    peer.close();
  });

  test("a body above the limit ends the session", async () => {
    const session = await Polling.open(http);
    const { status, body } = await session.post("4".repeat(1_000_001));
    assert.deepEqual([status, body], [413, ""]);
    const after = await session.post("4hello");
    assert.equal(after.status, reference ? 200 : 400);
  });

  test("a body that does not come whole is given up", async () => {
    const session = await Polling.open(http);
    const head = `POST ${session.url.slice(server.url.length)} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n4a`;
    const { answer } = await exchange(server, head, 2 * LONG);
    if (reference) assert.equal(answer, "");
    else assert.match(answer, /^HTTP\/1.1 408 /);
  });

  test("errors have a length", async () => {
    const { headers } = await request(`${http}?EIO=4`);
    assert.equal(headers.get("content-length"), reference ? null : "40");
  });

  test("a WebSocket of an unknown version is refused before it opens", async () => {
    const { answer } = await exchange(server, upgrade("/engine.io/?EIO=5&transport=websocket"), LONG);
    assert.match(answer, reference ? /^HTTP\/1.1 101 [^]*HTTP\/1.1 400 / : /^HTTP\/1.1 400 /);
  });

  test("an upgrade to polling is refused before it opens", async () => {
    const { answer } = await exchange(server, upgrade("/engine.io/?EIO=4&transport=polling"), LONG);
    assert.match(answer, reference ? /^HTTP\/1.1 101 [^]*\x88\x00$/ : /^HTTP\/1.1 400 /);
  });

  test("an upgrade elsewhere is answered", async () => {
    const { answer } = await exchange(server, upgrade("/elsewhere"), LONG / 2);
    if (reference) assert.equal(answer, "");
    else assert.match(answer, /^HTTP\/1.1 404 /);
  });
});

describe("differences of Socket.IO", { skip: missingServer("conformance") }, () => {
  let server;
  before(async () => {
    server = await Server.start("conformance");
  });
  after(() => server?.stop());

  // No client sends these; the Node server makes something of them all the same.
  for (const [what, packet] of [
    ["an event without data", "42"],
    ["an event with an id and without data", "425"],
    ["a sign in a number", '45+1-["message",{"_placeholder":true,"num":0}]'],
    ["spaces in a number", '421 2["message"]'],
    ["an answer without an id", '43["here"]'],
    ["a CONNECT with an id", "40/custom,1"],
  ]) {
    test(`${what} ends the connection`, async () => {
      const peer = new Peer(`${server.wsUrl}/socket.io/?EIO=4&transport=websocket`, { pong: true });
      await peer.next();
      peer.send("40");
      await peer.next();
      await peer.next();
      peer.send(packet);
      const end = await Promise.race([peer.ended, pause(LONG / 2).then(() => "kept")]);
      if (reference) assert.equal(end, "kept");
      else assert.deepEqual(end, { code: 1005, reason: "" });
      peer.close();
    });
  }
});
