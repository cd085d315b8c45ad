// permessage-deflate with the official client: what is agreed on, that messages come whole both ways, and that they are
// short on the wire.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { Server, missingServer } from "../lib/server.js";
import { Clients, TRANSPORTS } from "../lib/transports.js";
import { PATIENCE, once } from "../lib/wait.js";

const skip = missingServer("interop_server");
const OFFERS = { perMessageDeflate: { threshold: 100 } };
const LONG = "a long message, and ".repeat(1_000);

/** Bytes that came to the client and left it since `before`. */
function traffic(socket, before = { read: 0, written: 0 }) {
  const { bytesRead, bytesWritten } = socket.io.engine.transport.ws._socket;
  return { read: bytesRead - before.read, written: bytesWritten - before.written };
}

function agreed(socket) {
  return socket.io.engine.transport.ws.extensions;
}

describe("permessage-deflate", { skip }, () => {
  let server;
  let clients;
  before(async () => {
    server = await Server.start("interop_server", { env: { DEFLATE: "1" } });
  });
  after(() => server?.stop());

  for (const [label, transport] of TRANSPORTS.slice(1)) {
    describe(label, () => {
      beforeEach(() => {
        clients = new Clients(server, transport);
      });
      afterEach(() => clients.close());

      test("text and bytes come whole, and short", async () => {
        const socket = await clients.connect("/", OFFERS);
        assert.equal(agreed(socket), "permessage-deflate");
        const start = traffic(socket);
        assert.equal(await socket.timeout(PATIENCE).emitWithAck("echo", LONG), LONG);
        const bytes = Buffer.alloc(20_000, "bytes");
        assert.deepEqual(await socket.timeout(PATIENCE).emitWithAck("reverse", bytes), bytes.reverse());
        const { read, written } = traffic(socket, start);
        assert.ok(read < 2_000 && written < 2_000, `${read} bytes read, ${written} written`);
      });

      test("many messages one after the other", async () => {
        const socket = await clients.connect("/", OFFERS);
        const messages = Array.from({ length: 100 }, (_, n) => `${n} `.repeat((n * 37) % 900));
        const answers = messages.map((message) => socket.timeout(PATIENCE).emitWithAck("echo", message));
        assert.deepEqual(await Promise.all(answers), messages);
      });

      test("a broadcast reaches clients with and without it", async () => {
        const [zipped, plain] = await Promise.all([
          clients.connect("/", OFFERS),
          clients.connect("/", { perMessageDeflate: false }),
        ]);
        assert.equal(agreed(plain), "");
        const start = [traffic(zipped), traffic(plain)];
        const heard = Promise.all([once(zipped, "news"), once(plain, "news")]);
        await zipped.timeout(PATIENCE).emitWithAck("everyone", LONG);
        assert.deepEqual(await heard, [[LONG], [LONG]]);
        assert.ok(traffic(zipped, start[0]).read < 2_000);
        assert.ok(traffic(plain, start[1]).read > LONG.length);
      });
    });
  }

  test("is not agreed on when it is off", async () => {
    const plain = await Server.start("interop_server");
    const others = new Clients(plain, TRANSPORTS[1][1]);
    const socket = await others.connect("/", OFFERS);
    assert.equal(agreed(socket), "");
    assert.equal(await socket.timeout(PATIENCE).emitWithAck("echo", LONG), LONG);
    others.close();
    await plain.stop();
  });
});
