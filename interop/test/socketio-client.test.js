// The official socket.io-client against the `socketio_client_support` program: what the client's own suite asks of its
// support server, in each of the three ways to travel. What that suite checks of the client alone is not repeated.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { io } from "socket.io-client";
import { Server, missingServer } from "../lib/server.js";
import { Clients, TRANSPORTS } from "../lib/transports.js";
import { PATIENCE, collect, once, within } from "../lib/wait.js";

const skip = missingServer("socketio_client_support");
const bytes = Buffer.from("asdfasdf");

for (const [label, transport] of TRANSPORTS) {
  describe(`support server of socket.io-client, ${label}`, { skip }, () => {
    let server, clients;
    before(async () => {
      server = await Server.start("socketio_client_support");
    });
    after(() => server?.stop());
    beforeEach(() => {
      clients = new Clients(server, transport);
    });
    afterEach(() => clients.close());

    const ask = (socket, event, ...args) => socket.timeout(PATIENCE).emitWithAck(event, ...args);
    const lasting = { reconnection: true, reconnectionDelay: 10, reconnectionDelayMax: 50 };

    /** Emits, and waits for the event that answers. */
    const call = (socket, event, reply, ...args) => {
      const answer = once(socket, reply);
      socket.emit(event, ...args);
      return answer;
    };

    describe("connection", () => {
      test("says hi, also to what was sent before it stood", async () => {
        const socket = clients.start();
        // Each event brings its offset, for the recovery, as one argument more.
        const [offset, ...rest] = await call(socket, "hi", "hi");
        assert.equal(typeof offset, "string");
        assert.deepEqual(rest, []);
      });

      test("the server's id of a socket is the client's, and not that of the engine", async () => {
        for (const namespace of ["/", "/foo"]) {
          const socket = await clients.connect(namespace);
          assert.equal(await ask(socket, "getId"), socket.id);
          assert.notEqual(socket.id, socket.io.engine.id);
        }
      });

      test("namespaces come and go on one connection", async () => {
        const first = await clients.connect("/foo");
        const { engine } = first.io;
        const second = clients.beside(first, "/asd");
        await once(second, "connect");
        first.disconnect();
        const third = clients.beside(first, "/valid");
        await once(third, "connect");
        assert.equal(second.connected, true);
        assert.equal(third.io.engine, engine);
        const closed = once(engine, "close");
        second.disconnect();
        third.disconnect();
        assert.equal((await closed)[0], "forced close");
      });

      test("a namespace is entered on a new connection after the last was left", async () => {
        const socket = await clients.connect();
        const gone = once(socket, "disconnect");
        socket.disconnect();
        await gone;
        assert.equal(socket.id, undefined);
        const foo = clients.beside(socket, "/foo");
        await once(foo, "connect");
        assert.equal(await ask(foo, "getId"), foo.id);
      });

      test("left and entered again by hand", async () => {
        const socket = await clients.connect();
        const { id } = socket;
        const connected = once(socket, "connect");
        socket.disconnect().connect();
        await connected;
        assert.notEqual(socket.id, id);
        assert.equal(await ask(socket, "getId"), socket.id);
      });

      test("lost and found by itself, with the namespaces that are still wanted", async () => {
        const kept = await clients.connect("/", lasting);
        const given = clients.beside(kept, "/asd");
        await once(given, "connect");
        const [reconnected, connected] = [once(kept.io, "reconnect"), once(kept, "connect")];
        kept.io.once("reconnect_attempt", () => given.disconnect());
        kept.io.engine.close();
        await reconnected;
        await connected;
        assert.equal(await ask(kept, "echo", "again"), "again");
        assert.equal(given.connected, false);
      });

      test("a client without patience gets a timeout, since the server takes 10 ms to let it in", async () => {
        const socket = clients.start("/", { timeout: 0 });
        assert.equal((await once(socket, "connect_error"))[0].message, "timeout");
        const [failed, attempts] = [once(socket.io, "reconnect_failed"), collect(socket.io, "reconnect_attempt")];
        socket.io.reconnection(true).reconnectionAttempts(2).reconnectionDelay(1);
        socket.connect();
        await failed;
        assert.deepEqual(attempts.seen, [[1], [2]]);
      });
    });

    describe("handshake", () => {
      const shake = async (namespace, options) =>
        (await once(clients.start(namespace, options), "handshake"))[0];

      test("has the fields of the Node server", async () => {
        const socket = await clients.connect("/", { extraHeaders: { "x-custom": "a value" } });
        const handshake = await ask(socket, "getHandshake");
        const [first] = transport.transports;
        assert.equal(handshake.headers["x-custom"], "a value");
        assert.equal(handshake.headers.host, `127.0.0.1:${server.port}`);
        assert.ok(Math.abs(Date.parse(handshake.time) - Date.now()) < 60_000, handshake.time);
        assert.ok(Math.abs(handshake.issued - Date.now()) < 60_000, handshake.issued);
        assert.match(handshake.address, /^(::ffff:)?127\.0\.0\.1$/);
        assert.equal(handshake.xdomain, false);
        assert.equal(handshake.secure, false);
        assert.ok(handshake.url.startsWith(`/socket.io/?EIO=4&transport=${first}`), handshake.url);
        assert.equal(handshake.query.EIO, "4");
        assert.equal(handshake.query.transport, first);
        assert.deepEqual(handshake.auth, {});
      });

      test("the query as an object and as text, in any namespace", async () => {
        const object = await clients.connect("/", { query: { e: "f" } });
        assert.equal((await ask(object, "getHandshake")).query.e, "f");
        const text = await clients.connect("/?c=d");
        assert.equal((await ask(text, "getHandshake")).query.c, "d");
        assert.equal((await shake("/abc", { query: { a: "b" } })).query.a, "b");
        const { query } = await shake("/abc?b=c&d=e");
        assert.deepEqual([query.b, query.d], ["c", "e"]);
      });

      test("names and values of the query are decoded", async () => {
        const odd = { "&a": "&=?a", "ключ": "100 % + ů" };
        const { query } = await shake("/abc", { query: odd });
        assert.equal(query["&a"], "&=?a");
        assert.equal(query["ключ"], "100 % + ů");
      });

      test("auth as an object and as a function, apart from the query", async () => {
        const object = await shake("/abc", { auth: { a: "b", c: "d" } });
        assert.deepEqual(object.auth, { a: "b", c: "d" });
        assert.equal(object.query.a, undefined);
        const given = await shake("/abc", { auth: (give) => give({ e: "f" }) });
        assert.deepEqual(given.auth, { e: "f" });
        assert.equal(given.query.e, undefined);
      });
    });

    describe("refusals", () => {
      for (const [namespace, options, message] of [
        ["/", { query: { fail: true } }, "Auth failed (main namespace)"],
        ["/no", {}, "Auth failed (custom namespace)"],
        ["/invalid", {}, "Invalid namespace"],
      ]) {
        test(`of ${namespace} is an error, once, and the connection stays`, async () => {
          const socket = clients.start(namespace, { ...lasting, ...options });
          const errors = collect(socket, "connect_error");
          const [[error]] = await errors.take(1);
          assert.ok(error instanceof Error);
          assert.equal(error.message, message);
          assert.equal(socket.active, false);
          const other = clients.beside(socket, "/foo");
          await once(other, "connect");
          // A lost connection brings back who was let in, and does not ask again for who was not.
          const connected = once(other, "connect");
          socket.io.engine.close();
          await connected;
          assert.equal(await ask(other, "getId"), other.id);
          assert.equal(errors.seen.length, 1);
        });
      }
    });

    describe("events", () => {
      test("an answer of the client is an event, if it is the right one", async () => {
        const socket = await clients.connect();
        const got = collect(socket, "got it");
        const answers = [[5, { test: true }], [4, { test: true }], [5, { test: false }], []];
        socket.on("ack", (answer) => answer(...answers.shift()));
        for (const _ of [...answers]) socket.emit("ack");
        await got.take(1);
        // The server has seen all of them when this is back.
        await ask(socket, "echo", 1);
        assert.deepEqual(answers, []);
        assert.equal(got.seen.length, 1);
      });

      test("emitted in order, some of it before the connection stood", async () => {
        const socket = clients.start("/", { autoConnect: false });
        const order = [];
        const first = new Promise((resolve) => socket.emit("echo", "first", (value) => resolve(order.push(value))));
        socket.connect();
        await once(socket, "connect");
        order.push(await ask(socket, "echo", "second"));
        await first;
        assert.deepEqual(order, ["first", "second"]);
      });

      test("dates are text", async () => {
        const isDate = (text) => {
          assert.match(text, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
          assert.ok(Math.abs(Date.parse(text) - Date.now()) < 60_000, text);
        };
        const socket = await clients.connect();
        isDate(await ask(socket, "getAckDate", { test: true }));
        isDate((await call(socket, "getDate", "takeDate"))[0]);
        isDate((await call(socket, "getDateObj", "takeDateObj"))[0].date);
      });

      test("false is false", async () => {
        const socket = await clients.connect();
        assert.equal((await call(socket, "false", "false"))[0], false);
      });

      test("UTF-8 of several bytes arrives whole and in order", async () => {
        const socket = await clients.connect();
        const texts = collect(socket, "takeUtf8");
        socket.emit("getUtf8");
        const wanted = ["てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 \u2014 string"];
        assert.deepEqual((await texts.take(5)).map(([text]) => text), wanted);
      });

      test("an unknown event is not answered", async () => {
        const socket = await clients.connect();
        await assert.rejects(socket.timeout(50).emitWithAck("unknown"), /operation has timed out/);
      });

      test("a volatile packet goes out when it can at once, and not otherwise", async () => {
        const socket = clients.start();
        const lost = collect(socket, "got it");
        socket.on("ack", (answer) => answer(5, { test: true }));
        socket.volatile.emit("ack");
        await once(socket, "connect");
        await clients.upgraded(socket);
        await ask(socket, "echo", 1);
        assert.equal(lost.seen.length, 0);
        // The transport may still be busy with what came before: asked again until it is not.
        const answered = new Promise((resolve) => {
          const again = setInterval(() => socket.volatile.emit("getId", (id) => resolve(clearInterval(again) ?? id)), 20);
        });
        assert.equal(await within(PATIENCE, "a volatile packet", answered), socket.id);
      });
    });

    describe("binary", () => {
      test("from the server", async () => {
        const socket = await clients.connect();
        for (const [event, reply] of [["doge", "doge"], ["getbin", "takebin"]]) {
          const [data] = await call(socket, event, reply);
          assert.deepEqual(Buffer.from(data), bytes);
        }
      });

      for (const [what, make] of [
        ["a Buffer", () => Buffer.from("abcd")],
        ["a typed array", () => Uint16Array.of(0xffff, 0, 7)],
        ["an ArrayBuffer", () => Uint8Array.of(1, 2, 3).buffer],
        ["a view of a part", () => new DataView(Uint8Array.of(9, 8, 7).buffer, 1, 2)],
      ]) {
        test(`${what} to the server, alone and within JSON`, async () => {
          const socket = await clients.connect();
          await call(socket, "buffa", "buffack", make());
          await call(socket, "blob", "back", make());
          const mixed = { hello: "lol", message: make(), goodbye: "gotcha" };
          await call(socket, "jsonbuff", "jsonbuff-ack", mixed);
          await call(socket, "jsonblob", "jsonblob-ack", mixed);
        });
      }

      test("keeps its place between texts", async () => {
        const socket = await clients.connect();
        socket.emit("abuff1", Buffer.from("first"));
        await call(socket, "abuff2", "abuff2-ack", "please arrive second");
        socket.emit("blob1", Buffer.from("first"));
        socket.emit("blob2", "second");
        await call(socket, "blob3", "blob3-ack", Buffer.from("third"));
      });

      test("what is not in its place, or no binary, is not acknowledged", async () => {
        const socket = await clients.connect();
        const acks = ["buffack", "back", "jsonbuff-ack", "jsonblob-ack", "blob3-ack"].map((name) => collect(socket, name));
        socket.emit("buffa", "text");
        socket.emit("blob", { no: "bytes" });
        socket.emit("jsonbuff", { hello: "lol", message: "text", goodbye: "gotcha" });
        socket.emit("jsonblob", { hello: "lol", message: Buffer.of(1), goodbye: "hello" });
        socket.emit("blob1", Buffer.of(1));
        socket.emit("blob2", "third");
        socket.emit("blob3", Buffer.of(3));
        await ask(socket, "echo", 1);
        assert.deepEqual(acks.map(({ seen }) => seen.length), [0, 0, 0, 0, 0]);
      });
    });

    describe("retries", () => {
      /** What the client sends from now on, as text. */
      const sent = (socket) => collect(socket.io.engine, "packetCreate").seen;

      test("keep the order, one at a time", async () => {
        const socket = clients.start("/", { retries: 1, ackTimeout: PATIENCE });
        const packets = sent(socket);
        const answers = await Promise.all([1, 2, 3].map((n) => socket.emitWithAck("echo", n)));
        assert.deepEqual(answers, [1, 2, 3]);
        const events = packets.filter(([{ type, data }]) => type === "message" && data[0] === "2").map(([{ data }]) => data);
        assert.deepEqual(events, ['20["echo",1]', '21["echo",2]', '22["echo",3]']);
      });

      test("end after as many tries as allowed, and the server has seen each", async () => {
        const socket = clients.start("/", { retries: 3, ackTimeout: 50 });
        const tries = collect(socket, "ack");
        const outcome = await new Promise((resolve) => socket.emit("ack", (error) => resolve(error)));
        assert.ok(outcome instanceof Error);
        assert.equal((await tries.take(4)).length, 4);
      });
    });

    test("a connection that is lost comes back with its id", async () => {
      const socket = await clients.connect("/", lasting);
      assert.equal(socket.recovered, false);
      await call(socket, "hi", "hi");
      const { id } = socket;
      const connected = once(socket, "connect");
      socket.io.engine.close();
      await connected;
      assert.equal(socket.recovered, true);
      assert.equal(socket.id, id);
    });

    test("clients of one page share a connection unless they say otherwise", async () => {
      const options = { ...transport, reconnection: false };
      const url = (namespace) => `${server.url}${namespace}`;
      const sockets = [
        io(url("/foo"), options),
        io(url("/asd"), options),
        io(url("/asd"), { ...options, forceNew: true }),
        io(url("/valid"), { ...options, multiplex: false }),
      ];
      try {
        await Promise.all(sockets.map((socket) => once(socket, "connect")));
        const engines = sockets.map((socket) => socket.io.engine.id);
        assert.equal(engines[0], engines[1]);
        assert.equal(new Set(engines).size, 3);
        assert.equal(new Set(sockets.map(({ id }) => id)).size, 4);
      } finally {
        for (const socket of sockets) socket.disconnect();
      }
    });
  });
}
