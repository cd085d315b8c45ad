// The gateways on plain WebSockets, with the `ws` package as the client: the envelope, answers by id, faults and close
// codes, and one gateway that serves clients of Socket.IO and plain ones at once.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { io } from "socket.io-client";
import { WebSocket } from "ws";
import { Server, missingServer, reference } from "../lib/server.js";
import { PATIENCE, once, within } from "../lib/wait.js";

const skip = (reference && "NestJS's ws adapter has neither ids nor rooms") || missingServer("events");

/** A client that is open; `next()` is its next message, parsed, and `closed` what it was closed with. */
async function open(url, options) {
  const socket = new WebSocket(url, options);
  const messages = [];
  let wake = () => {};
  socket.on("message", (data, isBinary) => {
    messages.push(isBinary ? data : JSON.parse(data.toString()));
    wake();
  });
  socket.next = () =>
    within(
      PATIENCE,
      "a message",
      new Promise((resolve) => {
        wake = () => {
          if (messages.length === 0) return;
          wake = () => {};
          resolve(messages.shift());
        };
        wake();
      }),
    );
  socket.say = (message) => socket.send(typeof message === "string" ? message : JSON.stringify(message));
  socket.closed = new Promise((resolve) => socket.on("close", (code, reason) => resolve([code, reason.toString()])));
  await within(PATIENCE, "the handshake", new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject)));
  return socket;
}

/** The status with which the handshake is refused. */
function refused(url, options) {
  const socket = new WebSocket(url, options);
  return within(
    PATIENCE,
    "a refusal",
    new Promise((resolve, reject) => {
      socket.on("unexpected-response", (_, response) => resolve(response.statusCode)).on("open", () => reject(new Error("let in")));
      socket.on("error", () => {});
    }),
  );
}

const exception = (message) => ({ event: "exception", data: { message, status: "error" } });

describe("gateways on plain WebSockets", { skip }, () => {
  let server;
  before(async () => {
    server = await Server.start("events", { env: { ADAPTER: "ws" } });
  });
  after(() => server?.stop());

  test("a return value is answered under the event's name, with the id if there was one", async () => {
    const client = await open(server.wsUrl);
    client.say({ event: "ping", data: "hello" });
    assert.deepEqual(await client.next(), { event: "ping", data: "pong: hello" });
    client.say({ event: "ping", data: "a", id: 7 });
    client.say({ event: "ping", data: "b", id: "x" });
    assert.deepEqual(await client.next(), { event: "ping", data: "pong: a", id: 7 });
    assert.deepEqual(await client.next(), { event: "ping", data: "pong: b", id: "x" });
    client.close();
  });

  test("a broadcast reaches everyone", async () => {
    const clients = await Promise.all([1, 2, 3].map(() => open(server.wsUrl)));
    clients[0].say({ event: "broadcast", data: "é ✓" });
    for (const client of clients) {
      assert.deepEqual(await client.next(), { event: "message", data: "é ✓" });
      client.close();
    }
  });

  test("a thousand messages come back in order", async () => {
    const client = await open(server.wsUrl);
    for (let n = 0; n < 1000; n++) client.say({ event: "ping", data: String(n), id: n });
    for (let n = 0; n < 1000; n++) assert.deepEqual(await client.next(), { event: "ping", data: `pong: ${n}`, id: n });
    client.close();
  });

  test("what does not fit is an exception, and too much of it closes with 1008", async () => {
    const client = await open(server.wsUrl);
    const faults = [
      ["hello", "the message is not JSON from byte 0 on"],
      ["[]", "the message must be an object with a field `event`"],
      [{ data: 1 }, "the message has no field `event`"],
      [{ event: 1 }, "the field `event` must be a string"],
      [{ event: "disconnect" }, 'the event name "disconnect" is reserved'],
    ];
    for (const [message, text] of faults) {
      client.say(message);
      assert.deepEqual(await client.next(), exception(text));
    }
    client.send(Buffer.from([1, 2]));
    assert.deepEqual(await client.next(), exception("a binary message came, but every message is text"));
    client.say({ event: "nobody" });
    assert.equal((await client.next()).data.message, "Unknown event");
    client.say({ event: "ping", data: 7 });
    const wrong = await client.next();
    assert.equal(wrong.event, "exception");
    assert.deepEqual(wrong.data.cause, { pattern: "ping", data: 7 });
    client.say({ event: "ping", data: "still here" });
    assert.deepEqual(await client.next(), { event: "ping", data: "pong: still here" });
    for (let n = 0; n < 5; n++) client.say("no");
    assert.equal((await client.closed)[0], 1008);
  });

  test("an unknown path is not found, and the port still serves others", async () => {
    assert.equal(await refused(`${server.wsUrl}/nothing`), 404);
    assert.equal((await fetch(`${server.url}/nothing`)).status, 404);
    assert.equal((await fetch(server.url)).status, 426);
  });

  test("a message above the limit closes with 1009", async () => {
    const client = await open(server.wsUrl);
    client.say({ event: "ping", data: "x".repeat(1_000_000) });
    assert.equal((await client.closed)[0], 1009);
  });

  test("the server's end is told with 1001 or 1012", async () => {
    const own = await Server.start("events", { env: { ADAPTER: "ws" } });
    const client = await open(own.wsUrl);
    await own.stop("SIGTERM");
    assert.ok([1001, 1012].includes((await client.closed)[0]));
  });
});

describe("one gateway for both kinds of clients", { skip }, () => {
  let server;
  before(async () => {
    server = await Server.start("events", { env: { ADAPTER: "both" } });
  });
  after(() => server?.stop());

  test("a broadcast of either reaches both", async () => {
    const plain = await open(`${server.wsUrl}/ws`);
    const socket = io(server.url, { transports: ["websocket"], forceNew: true });
    await once(socket, "connect");
    let heard = once(socket, "message");
    plain.say({ event: "broadcast", data: "from plain" });
    assert.deepEqual(await heard, ["from plain"]);
    assert.deepEqual(await plain.next(), { event: "message", data: "from plain" });
    heard = once(socket, "message");
    socket.emit("broadcast", "from socket.io");
    assert.deepEqual(await heard, ["from socket.io"]);
    assert.deepEqual(await plain.next(), { event: "message", data: "from socket.io" });
    assert.equal(await socket.timeout(PATIENCE).emitWithAck("ping", "x"), "pong: x");
    socket.disconnect();
    plain.close();
  });
});
