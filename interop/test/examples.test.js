// The programs of examples/ that no other suite starts: each must listen, and do what its first lines say.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Server, missingServer, reference } from "../lib/server.js";
import { Clients, TRANSPORTS } from "../lib/transports.js";
import { PATIENCE, once } from "../lib/wait.js";

describe("events", { skip: missingServer("events") }, () => {
  let server;
  before(async () => {
    server = await Server.start("events");
  });
  after(() => server?.stop());

  for (const [label, transport] of TRANSPORTS) {
    test(`answers and broadcasts, ${label}`, async () => {
      const clients = new Clients(server, transport);
      const [a, b] = await Promise.all([clients.connect(), clients.connect()]);
      assert.equal(await a.timeout(PATIENCE).emitWithAck("ping", "hello"), "pong: hello");
      const pong = once(a, "ping");
      a.emit("ping", "no ack");
      assert.deepEqual(await pong, ["pong: no ack"]);
      const heard = Promise.all([once(a, "message"), once(b, "message")]);
      a.emit("broadcast", "to all");
      assert.deepEqual(await heard, [["to all"], ["to all"]]);
      clients.close();
    });
  }

  test("tells in its log who comes and goes", { skip: reference && "npm's socket.io logs nothing" }, async () => {
    const clients = new Clients(server, TRANSPORTS[1][1]);
    const socket = await clients.connect();
    const { id } = socket;
    clients.close();
    await server.printed(`[EventsGateway] Client disconnected: ${id}`);
    assert.match(server.output, /LOG \[EventsGateway\] WebSocket server initialized/);
    assert.ok(server.output.includes(`[EventsGateway] Client connected: ${id}`));
  });
});
