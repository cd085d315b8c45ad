// Plain WebSockets with npm's `ws`: messages, fragments, control frames, close codes, and permessage-deflate with whatever
// the client asks for.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { WebSocket } from "ws";
import { Server, missingServer } from "../lib/server.js";
import { once } from "../lib/wait.js";

const skip = missingServer("ws_echo");
const LONG = "a long message, and ".repeat(2_000);

describe("npm ws", { skip }, () => {
  let server;
  before(async () => {
    server = await Server.start("ws_echo");
  });
  after(() => server?.stop());

  async function open(options = { perMessageDeflate: false }) {
    const socket = new WebSocket(server.wsUrl, options);
    await once(socket, "open");
    return socket;
  }

  async function closed(socket) {
    const [code, reason] = await once(socket, "close");
    return [code, reason.toString()];
  }

  async function echoed(socket, data) {
    const answer = once(socket, "message");
    socket.send(data);
    const [message, isBinary] = await answer;
    assert.equal(isBinary, typeof data !== "string");
    assert.ok(message.equals(Buffer.from(data)), `${message.length} bytes are those that were sent`);
  }

  const OFFERS = {
    "without an offer": false,
    "as by default": true,
    "without context takeover": { serverNoContextTakeover: true, clientNoContextTakeover: true },
    "with small windows": { serverMaxWindowBits: 9, clientMaxWindowBits: 9 },
    "with the smallest server window": { serverMaxWindowBits: 8 },
  };
  for (const [label, perMessageDeflate] of Object.entries(OFFERS)) {
    test(`permessage-deflate ${label}`, async () => {
      const socket = await open({ perMessageDeflate });
      assert.equal(socket.extensions, perMessageDeflate ? "permessage-deflate" : "");
      for (const data of ["", "short", LONG, "κόσμε 𐍈 ".repeat(500), Buffer.alloc(0), Buffer.alloc(300_000, "bytes")]) {
        await echoed(socket, data);
        // Again: the client may refer to what it has sent.
        await echoed(socket, data);
      }
      const { bytesRead, bytesWritten } = socket._socket;
      const wire = `${bytesRead} bytes read, ${bytesWritten} written`;
      if (perMessageDeflate) assert.ok(bytesRead < 40_000 && bytesWritten < 40_000, wire);
      else assert.ok(bytesRead > 600_000 && bytesWritten > 600_000, wire);
      socket.close();
      assert.deepEqual(await closed(socket), [1005, ""]);
    });
  }

  for (const perMessageDeflate of [false, true]) {
    test(`fragments with a ping between them, ${perMessageDeflate ? "" : "not "}compressed`, async () => {
      const socket = await open({ perMessageDeflate });
      const answers = Promise.all([once(socket, "pong"), once(socket, "message")]);
      socket.send(LONG.slice(0, 1_000), { fin: false });
      socket.ping("there?");
      socket.send("", { fin: false });
      socket.send(LONG.slice(1_000), { fin: true });
      const [[pong], [message]] = await answers;
      assert.equal(pong.toString(), "there?");
      assert.equal(message.toString(), LONG);
      socket.terminate();
    });
  }

  test("a flood of pings is answered in order", async () => {
    const socket = await open();
    const seen = [];
    socket.on("pong", (data) => seen.push(Number(data)));
    const pings = Array.from({ length: 2_000 }, (_, n) => n);
    for (const n of pings) socket.ping(String(n));
    await echoed(socket, "behind them");
    assert.deepEqual(seen, pings);
    socket.terminate();
  });

  test("code and reason of a close come back", async () => {
    const socket = await open();
    socket.close(4_321, "the end");
    assert.deepEqual(await closed(socket), [4_321, ""]);
  });

  test("each fault has its close code", async () => {
    const faults = [
      [1002, (tcp) => tcp.write(Buffer.from([0x81, 0x00]))],
      [1002, (tcp) => tcp.write(Buffer.from([0x83, 0x80, 0, 0, 0, 0]))],
      [1007, (tcp) => tcp.write(Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0xff]))],
      [1009, (tcp) => tcp.write(Buffer.from([0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]))],
    ];
    for (const [code, send] of faults) {
      const socket = await open();
      send(socket._socket);
      assert.deepEqual(await closed(socket), [code, ""]);
    }
  });

  test("many connections at once", async () => {
    const sockets = await Promise.all(Array.from({ length: 100 }, () => open({ perMessageDeflate: true })));
    await Promise.all(sockets.map((socket, n) => echoed(socket, `${n} ${LONG}`)));
    for (const socket of sockets) socket.terminate();
  });

  test("what is no handshake is told why", async () => {
    const answer = await fetch(server.url);
    assert.equal(answer.status, 426);
    assert.match(await answer.text(), /Upgrade/);
  });
});
