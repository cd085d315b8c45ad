// Plain WebSockets with the `ws` package as the client, compressed and not: how messages are cut, what comes between them,
// and how connections end, as both sides see it.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { WebSocket } from "ws";
import { Server, missingServer, reference } from "../lib/server.js";
import { PATIENCE, within } from "../lib/wait.js";

const skip = (reference && "the original has no plain WebSockets") || missingServer("ws_echo");

/** A client that is open: `next()` is the next message, a string or a Buffer; `closed` is what it was closed with. */
async function open(url, options) {
  const socket = new WebSocket(url, options);
  const messages = [];
  const pongs = [];
  let wake = () => {};
  socket.on("message", (data, isBinary) => {
    messages.push(isBinary ? data : data.toString());
    wake();
  });
  socket.on("pong", (data) => {
    pongs.push(data.toString());
    wake();
  });
  const until = (what, ready) =>
    within(
      PATIENCE,
      what,
      new Promise((resolve) => {
        wake = () => ready() && ((wake = () => {}), resolve());
        wake();
      }),
    );
  socket.next = async () => {
    await until("a message", () => messages.length > 0);
    return messages.shift();
  };
  socket.pongs = async (count) => {
    await until(`${count} pongs`, () => pongs.length >= count);
    return pongs;
  };
  socket.closed = new Promise((resolve) => socket.on("close", (code, reason) => resolve([code, reason.toString()])));
  socket.on("error", () => {});
  const opened = new Promise((resolve, reject) => socket.on("open", resolve).on("close", () => reject(new Error("closed"))));
  await within(PATIENCE, "the handshake", opened);
  return socket;
}

for (const [label, perMessageDeflate] of [
  ["not compressed", false],
  ["compressed", { threshold: 0 }],
  ["compressed with small windows", { threshold: 0, serverMaxWindowBits: 9, clientMaxWindowBits: 9 }],
  ["compressed without takeover", { threshold: 0, clientNoContextTakeover: true }],
]) {
  describe(`plain WebSockets, ${label}`, { skip }, () => {
    let server;
    const connect = () => open(server.wsUrl, { perMessageDeflate, maxPayload: 0 });
    before(async () => {
      server = await Server.start("ws_echo");
    });
    after(() => server?.stop());

    test("what was offered is agreed on", async () => {
      const client = await connect();
      assert.equal(client.extensions, perMessageDeflate ? "permessage-deflate" : "");
      client.close();
    });

    test("messages of every size come back", async () => {
      const client = await connect();
      for (const size of [0, 1, 125, 126, 65_535, 65_536, 3_000_000]) {
        const text = "é".repeat(size / 2) + "x".repeat(size % 2);
        for (const message of [text, randomBytes(size)]) {
          client.send(message);
          assert.deepEqual(await client.next(), message, `${size} bytes`);
        }
      }
      client.close();
    });

    test("fragments are one message, whatever comes between them", async () => {
      const client = await connect();
      const send = (part, fin, binary) => client.send(part, { fin, binary });
      send("é and ", false, false);
      client.ping("between");
      send("", false, false);
      send("🦀", true, false);
      assert.equal(await client.next(), "é and 🦀");
      assert.deepEqual(await client.pongs(1), ["between"]);
      for (let n = 0; n < 1_000; n++) send(Buffer.from([n & 0xff]), n === 999, true);
      const back = await client.next();
      assert.deepEqual(back, Buffer.from(Array.from({ length: 1_000 }, (_, n) => n & 0xff)));
      client.close();
    });

    test("a flood of pings is answered, each in its turn", async () => {
      const client = await connect();
      const count = 20_000;
      for (let n = 0; n < count; n++) client.ping(String(n));
      client.send("behind them");
      const pongs = await client.pongs(count);
      assert.deepEqual(pongs, Array.from({ length: count }, (_, n) => String(n)));
      assert.equal(await client.next(), "behind them");
      client.close();
    });

    test("the client's close code comes back", async () => {
      for (const [code, reason] of [[1000, ""], [1001, "away"], [1011, "x".repeat(123)], [3000, ""], [4999, "é"]]) {
        const client = await connect();
        client.close(code, reason);
        assert.equal((await within(PATIENCE, "the close", client.closed))[0], code);
      }
      const client = await connect();
      client.close();
      assert.equal((await within(PATIENCE, "the close", client.closed))[0], 1005);
    });
  });
}
