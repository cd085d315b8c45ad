// The official engine.io-client against the `engineio_client_support` program: what the client's own suite asks of its
// support server, on both transports.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Socket } from "engine.io-client";
import { Server, missingServer } from "../lib/server.js";
import { collect, once } from "../lib/wait.js";

const skip = missingServer("engineio_client_support");

describe("engine.io-client", { skip }, () => {
  let server;
  before(async () => {
    server = await Server.start("engineio_client_support");
  });
  after(() => server?.stop());

  /** Opens a socket and takes the greeting. */
  async function open(options) {
    const socket = new Socket(server.url, { path: "/engine.io/", upgrade: false, ...options });
    const messages = collect(socket, "message");
    await once(socket, "open");
    assert.deepEqual(await messages.take(1), [["hi"]]);
    return {
      socket,
      /** Sends a message and returns the answer. */
      async ask(message) {
        const seen = messages.seen.length;
        socket.send(message);
        return (await messages.take(seen + 1)).at(-1)[0];
      },
    };
  }

  for (const transport of ["polling", "websocket"]) {
    describe(`over ${transport}`, () => {
      test("echoes text and UTF-8", async () => {
        const { socket, ask } = await open({ transports: [transport] });
        assert.equal(await ask("a"), "a");
        assert.equal(await ask("žluťoučký кůň"), "žluťoučký кůň");
        assert.equal(await ask("give utf8"), "пойду спать всем спокойной ночи");
        socket.close();
      });

      test("gives and echoes binary", async () => {
        const { socket, ask } = await open({ transports: [transport] });
        socket.binaryType = "arraybuffer";
        assert.deepEqual([...new Uint8Array(await ask("give binary"))], [0, 1, 2, 3, 4]);
        assert.deepEqual([...new Uint8Array(await ask(Uint8Array.of(7, 8, 9)))], [7, 8, 9]);
        socket.close();
      });

      test("a handshake that is denied is an error", async () => {
        const socket = new Socket(server.url, { path: "/engine.io/", transports: [transport], query: { deny: 1 } });
        const [error] = await once(socket, "error");
        assert.equal(error.type, "TransportError");
      });

      test("a session that does not exist is an error", async () => {
        const socket = new Socket(server.url, { path: "/engine.io/", transports: [transport], query: { sid: "gone" } });
        let body;
        // The client forgets it right after.
        socket.once("error", ({ context }) => (body = context?.responseText));
        const [error] = await once(socket, "error");
        assert.equal(error.type, "TransportError");
        if (transport === "polling") {
          assert.equal(error.description, 400);
          assert.equal(body, '{"code":1,"message":"Session ID unknown"}');
        } else {
          assert.equal(error.description.message, "Unexpected server response: 400");
        }
      });

      test("a message above the limit ends the session", async () => {
        const { socket } = await open({ transports: [transport] });
        const closed = once(socket, "close");
        let body;
        socket.once("error", ({ context }) => (body = context?.responseText));
        // The client sends it all the same: the limit tells it only how much goes into one POST.
        socket.send("a".repeat(200));
        const [reason, details] = await closed;
        if (transport === "polling") {
          assert.equal(reason, "transport error");
          assert.equal(details.description, 413);
          assert.equal(body, "");
        } else {
          assert.equal(reason, "transport close");
          assert.equal(details.context.code, 1009);
          assert.equal(details.context.reason, "");
        }
      });

      test("stays open over several heartbeats", async () => {
        const { socket, ask } = await open({ transports: [transport] });
        await once(socket, "heartbeat");
        await once(socket, "heartbeat");
        assert.equal(await ask("still here"), "still here");
        socket.close();
      });
    });
  }

  test("moves from polling to WebSocket", async () => {
    const { socket, ask } = await open({ transports: ["polling", "websocket"], upgrade: true });
    if (socket.transport.name === "polling") await once(socket, "upgrade");
    assert.equal(socket.transport.name, "websocket");
    assert.equal(await ask("after"), "after");
    socket.close();
  });

  test("the cookies of the handshake come back, unless they are over", async () => {
    const { socket, ask } = await open({ transports: ["polling"], withCredentials: true });
    const headers = JSON.parse(await ask("sendHeaders"));
    assert.equal(headers.cookie, "1=1; 2=2");
    socket.close();
  });

  test("headers of the client's own are sent", async () => {
    const { socket, ask } = await open({ transports: ["polling"], extraHeaders: { "x-custom": "a value" } });
    assert.equal(JSON.parse(await ask("sendHeaders"))["x-custom"], "a value");
    socket.close();
  });

  test("packets are batched below the announced limit", async () => {
    const { socket } = await open({ transports: ["polling"] });
    const messages = collect(socket, "message");
    for (let n = 0; n < 20; n++) socket.send("x".repeat(30));
    assert.equal((await messages.take(20)).length, 20);
    socket.close();
  });
});
