// The programs of examples/ that no other suite starts: each must listen, and do what its first lines say.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Server, missingServer, reference } from "../lib/server.js";
import WebSocket from "ws";
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

describe("validation", { skip: reference ? "Gatewire's own" : missingServer("validation") }, () => {
  let server;
  before(async () => {
    server = await Server.start("validation");
  });
  after(() => server?.stop());

  for (const [label, transport] of TRANSPORTS) {
    test(`tells which fields are wrong, and pipes what is right, ${label}`, async () => {
      const clients = new Clients(server, transport);
      const socket = await clients.connect();
      const ask = (event, ...args) => socket.timeout(PATIENCE).emitWithAck(event, ...args);
      const exception = once(socket, "exception");
      const refused = await ask("register", { name: "a", age: 7 });
      assert.deepEqual(await exception, [refused]);
      assert.equal(refused.status, "error");
      assert.equal(refused.message, "Validation failed");
      assert.deepEqual(refused.cause, { pattern: "register", data: { name: "a", age: 7 } });
      const errors = refused.errors.map(({ property }) => property).sort();
      assert.deepEqual(errors, ["age", "name"]);
      assert.ok(Object.values(refused.errors[0].constraints).every((text) => typeof text === "string"));

      const id = await ask("register", { name: "ada", age: 36 });
      assert.deepEqual(await ask("profile", { id: String(id) }), { name: "ada", age: 36 });
      assert.equal((await ask("profile", { id: 1e6 })).message, "no such user");
      assert.equal((await ask("profile", { id: "x" })).message, "Validation failed (numeric string is expected)");
      assert.equal(await ask("greet", { name: " ada " }), "hello ada");
      assert.equal(await ask("greet", { name: "ada", times: 2 }), "hello ada, hello ada");
      clients.close();
    });
  }
});

describe("streams", { skip: reference ? "Gatewire's own" : missingServer("streams") }, () => {
  let server;
  before(async () => {
    server = await Server.start("streams");
  });
  after(() => server?.stop());

  for (const [label, transport] of TRANSPORTS) {
    test(`emits each item, then acknowledges, ${label}`, async () => {
      const clients = new Clients(server, transport);
      const socket = await clients.connect();
      const seen = [];
      socket.onAny((...event) => seen.push(event));
      const end = await new Promise((resolve) => socket.emit("countdown", 3, (...args) => resolve(args)));
      assert.deepEqual(end, []);
      assert.deepEqual(seen.splice(0), [3, 2, 1].map((n) => ["countdown", n]));
      const failed = await socket.timeout(PATIENCE).emitWithAck("work", 50);
      assert.equal(failed.message, "the work has failed");
      assert.deepEqual(seen.splice(0), [["progress", 0], ["progress", 25], ["exception", failed]]);
      const ticks = once(socket, "tick");
      socket.emit("tick");
      assert.deepEqual(await ticks, [0]);
      await socket.timeout(PATIENCE).emitWithAck("countdown", 1);
      clients.close();
    });
  }
});

describe("rooms", { skip: reference ? "Gatewire's own" : missingServer("rooms") }, () => {
  let server;
  before(async () => {
    server = await Server.start("rooms");
  });
  after(() => server?.stop());

  for (const [label, transport] of TRANSPORTS) {
    test(`a room is there for who asks, ${label} and plain`, async () => {
      const clients = new Clients(server, transport);
      const ada = await clients.connect("/room-7", { auth: { name: "ada" } });
      const eve = await clients.connect("/room-8", { auth: { name: "eve" } });
      const entered = once(ada, "entered");
      const plain = new WebSocket(`${server.url.replace("http", "ws")}/ws/room-7?name=bob`);
      const messages = [];
      plain.on("message", (data) => messages.push(JSON.parse(data)));
      await once(plain, "open");
      assert.deepEqual(await entered, ["bob"]);

      const said = once(ada, "said");
      const answered = once(plain, "message");
      plain.send(JSON.stringify({ event: "say", data: " hello ", id: 1 }));
      assert.deepEqual(await said, [{ name: "bob", text: "hello" }]);
      await answered;
      const announced = Promise.all([once(ada, "announced"), once(eve, "announced")]);
      eve.emit("announce", "tea");
      assert.deepEqual(await announced, [["tea (room 8)"], ["tea (room 8)"]]);
      assert.equal(await ada.timeout(PATIENCE).emitWithAck("say", "bye"), 2);
      plain.close();
      await once(plain, "close");
      assert.deepEqual(messages, [
        { event: "said", data: { name: "bob", text: "hello" } },
        { event: "say", data: 2, id: 1 },
        { event: "announced", data: "tea (room 8)" },
        { event: "said", data: { name: "ada", text: "bye" } },
      ]);
      clients.close();
    });

    test(`a room that there is not is refused, ${label} and plain`, async () => {
      const clients = new Clients(server, transport);
      for (const [room, message] of [
        ["/room-100", "there are the rooms 1 to 99"],
        ["/room-x", 'Invalid namespace: "x" is no u16'],
        ["/hall", "Invalid namespace"],
      ]) {
        const [error] = await once(clients.start(room, { auth: { name: "ada" } }), "connect_error");
        assert.equal(error.message, message);
      }
      clients.close();
      const plain = new WebSocket(`${server.url.replace("http", "ws")}/ws/room-100?name=bob`);
      const told = once(plain, "message");
      const [code, reason] = await once(plain, "close");
      assert.deepEqual([code, String(reason)], [1008, "there are the rooms 1 to 99"]);
      assert.equal(JSON.parse((await told)[0]).event, "exception");
    });
  }
});
