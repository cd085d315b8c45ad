// The official client, socket.io-client 4, against the `interop_server` program: the same cases over polling only, over
// WebSocket only, and over polling with an upgrade.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { Server, missingServer, reference } from "../lib/server.js";
import { Clients, TRANSPORTS } from "../lib/transports.js";
import { PATIENCE, collect, once } from "../lib/wait.js";

const skip = missingServer("interop_server");

for (const [label, transport] of TRANSPORTS) {
  describe(`socket.io-client, ${label}`, { skip }, () => {
    let server, clients;
    before(async () => {
      server = await Server.start("interop_server");
    });
    after(() => server?.stop());
    beforeEach(() => {
      clients = new Clients(server, transport);
    });
    afterEach(() => clients.close());

    const ask = (socket, event, ...args) => socket.timeout(PATIENCE).emitWithAck(event, ...args);

    describe("connect", () => {
      test("has an id and travels the transport it asked for", async () => {
        const socket = await clients.connect();
        assert.match(socket.id, /^[\w-]{20}$/);
        const me = await ask(socket, "whoami");
        const last = transport.transports.at(-1);
        assert.deepEqual(me, { id: socket.id, auth: {}, team: null, transport: last });
        assert.equal(socket.io.engine.transport.name, last);
      });

      test("the auth payload and the query arrive", async () => {
        const socket = await clients.connect("/", { auth: { token: "žluťoučký", n: [1, 2] }, query: { team: "a&b=ů" } });
        const me = await ask(socket, "whoami");
        assert.deepEqual(me.auth, { token: "žluťoučký", n: [1, 2] });
        assert.equal(me.team, "a&b=ů");
      });

      test("auth given as a function", async () => {
        const socket = await clients.connect("/", { auth: (give) => give({ token: "later" }) });
        assert.deepEqual((await ask(socket, "whoami")).auth, { token: "later" });
      });

      test("an unknown namespace is an error", async () => {
        const socket = clients.start("/nowhere");
        const [error] = await once(socket, "connect_error");
        assert.equal(error.message, "Invalid namespace");
        assert.equal(socket.active, false);
      });

      test("a refusal carries its message and data", async () => {
        const socket = clients.start("/private", { auth: { token: "wrong" } });
        const [error] = await once(socket, "connect_error");
        assert.equal(error.message, "not authorized");
        assert.deepEqual(error.data, { message: "not authorized", content: "retry later" });
        assert.equal(socket.connected, false);
      });

      test("refused, then accepted with another token on the same connection", async () => {
        const socket = clients.start("/private", { auth: {} });
        await once(socket, "connect_error");
        socket.auth = { token: "secret" };
        socket.connect();
        await once(socket, "connect");
        assert.equal(await ask(socket, "ping"), "pong");
      });

      test("namespaces share one connection and are apart", async () => {
        const main = await clients.connect();
        const news = main.io.socket("/news");
        await once(news, "connect");
        assert.notEqual(main.id, news.id);
        const heardMain = collect(main, "news");
        const heardNews = collect(news, "news");
        await ask(news, "everyone", "for /news");
        await ask(main, "everyone", "for /");
        assert.deepEqual(await heardNews.take(1), [["for /news"]]);
        assert.deepEqual(await heardMain.take(1), [["for /"]]);
        assert.equal(heardNews.seen.length, 1);
        news.disconnect();
        assert.equal(await ask(main, "echo", "still here"), "still here");
      });
    });

    describe("events", () => {
      for (const [what, value] of [
        ["a string", "čau 🦀 \u2028 \"quoted\" \\ \u001e"],
        ["a number", -12.5],
        ["false", false],
        ["null", null],
        ["an object", { a: [1, { b: null }], "ключ": "значение", _placeholder: "no" }],
        ["a long string", "0123456789".repeat(10_000)],
      ]) {
        test(`echo of ${what}`, async () => {
          const socket = await clients.connect();
          assert.deepEqual(await ask(socket, "echo", value), value);
        });
      }

      test("several arguments, without an ack", async () => {
        const socket = await clients.connect();
        const echo = once(socket, "echo");
        socket.emit("echo", 1, "two", { three: [3] });
        assert.deepEqual(await echo, [1, "two", { three: [3] }]);
      });

      test("what is sent before the connection stands arrives after it", async () => {
        const socket = clients.start();
        const echo = collect(socket, "echo");
        socket.emit("echo", 1);
        socket.emit("echo", 2);
        assert.deepEqual(await echo.take(2), [[1], [2]]);
      });

      test("a burst keeps its order, also across an upgrade", async () => {
        const socket = clients.start();
        const echo = collect(socket, "echo");
        await once(socket, "connect");
        // The upgrade, where there is one, happens somewhere within.
        const expected = Array.from({ length: 1000 }, (_, i) => [i]);
        for (const [i] of expected) {
          socket.emit("echo", i);
          if (i % 100 === 0) await ask(socket, "nothing");
        }
        assert.deepEqual(await echo.take(1000), expected);
      });
    });

    describe("binary", () => {
      test("a buffer as the answer", async () => {
        const socket = await clients.connect();
        const answer = await ask(socket, "reverse", Buffer.of(1, 2, 3, 255));
        assert.deepEqual(Uint8Array.from(answer), Uint8Array.of(255, 3, 2, 1));
      });

      test("a large buffer", async () => {
        const socket = await clients.connect();
        const sent = Buffer.alloc(300_000, (i) => i);
        const answer = await ask(socket, "reverse", sent);
        assert.deepEqual(Buffer.from(answer), Buffer.from(sent).reverse());
      });

      test("an empty buffer", async () => {
        const socket = await clients.connect();
        assert.equal((await ask(socket, "reverse", Buffer.alloc(0))).length, 0);
      });

      test("inside an object, both ways", async () => {
        const socket = await clients.connect();
        const answer = await ask(socket, "inspect", { name: "photo", data: Buffer.of(9, 8, 7) });
        assert.equal(answer.name, "photo");
        assert.equal(answer.length, 3);
        assert.deepEqual(Uint8Array.from(answer.first), Uint8Array.of(9, 8));
      });

      test("several, untouched", async () => {
        const socket = await clients.connect();
        const echo = once(socket, "echo");
        socket.emit("echo", Buffer.of(1), { deep: [Buffer.of(2, 3)] }, "text");
        const [first, second, third] = await echo;
        assert.deepEqual(Uint8Array.from(first), Uint8Array.of(1));
        assert.deepEqual(Uint8Array.from(second.deep[0]), Uint8Array.of(2, 3));
        assert.equal(third, "text");
      });
    });

    describe("acknowledgements", () => {
      test("of several arguments", async () => {
        const socket = await clients.connect();
        const answer = await new Promise((resolve) => socket.emit("echo", 1, "two", (...args) => resolve(args)));
        assert.deepEqual(answer, [1, "two"]);
      });

      test("without a value", async () => {
        const socket = await clients.connect();
        const answer = await new Promise((resolve) => socket.emit("nothing", (...args) => resolve(args)));
        assert.deepEqual(answer, []);
      });

      test("many at once, each its own", async () => {
        const socket = await clients.connect();
        const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => ask(socket, "echo", i)));
        assert.deepEqual(answers, Array.from({ length: 200 }, (_, i) => i));
      });

      test("the server asks, the client answers", async () => {
        const socket = await clients.connect();
        socket.on("question", (question, answer) => answer(`${question}: 42`));
        assert.equal(await ask(socket, "ask-me", { question: "all", timeout: PATIENCE }), "all: 42");
      });

      test("the server asks, the client answers with binary", async () => {
        const socket = await clients.connect();
        socket.on("question", (_, answer) => answer(Buffer.of(1, 2)));
        const answer = await ask(socket, "ask-me", { question: "bytes", timeout: PATIENCE });
        assert.deepEqual(Uint8Array.from(answer), Uint8Array.of(1, 2));
      });

      test("the server asks, the client is silent: the server's time runs out", async () => {
        const socket = await clients.connect();
        assert.deepEqual(await ask(socket, "ask-me", { question: "all", timeout: 100 }), { error: "timeout" });
      });

      test("a room is asked and all answer", async () => {
        const a = await clients.connect();
        const b = await clients.connect();
        for (const [socket, name] of [[a, "a"], [b, "b"]]) {
          socket.on("question", (_, answer) => answer(name));
          await ask(socket, "join", "panel");
        }
        const { answers } = await ask(a, "ask-room", { room: "panel", question: "who", timeout: PATIENCE });
        assert.deepEqual(answers.sort(), ["a", "b"]);
      });

      test("a room is asked and one is silent: the answers so far", async () => {
        const a = await clients.connect();
        const b = await clients.connect();
        a.on("question", (_, answer) => answer("a"));
        for (const socket of [a, b]) await ask(socket, "join", "half-panel");
        const result = await ask(a, "ask-room", { room: "half-panel", question: "who", timeout: 200 });
        assert.deepEqual(result, { answers: ["a"], error: "timeout" });
      });
    });

    // What a gateway adds to Socket.IO: every acknowledgement is answered, handlers run in order.
    describe("gateway", { skip: reference && "npm's socket.io has no gateways" }, () => {
      test("an unknown event is answered with an error", async () => {
        const socket = await clients.connect();
        const answer = await ask(socket, "no-such-event", 1);
        assert.equal(answer.status, "error");
        assert.equal(typeof answer.message, "string");
      });

      test("a body of the wrong type is an exception, and the ack says so too", async () => {
        const socket = await clients.connect();
        const exception = once(socket, "exception");
        const answer = await ask(socket, "in-room", { room: 7 });
        assert.equal(answer.status, "error");
        assert.match(answer.message, /^Invalid message body: /);
        assert.deepEqual(answer.cause, { pattern: "in-room", data: { room: 7 } });
        assert.deepEqual((await exception)[0], answer);
      });

      test("a handler that panics is an exception, and the connection lives", async () => {
        const socket = await clients.connect();
        const answer = await ask(socket, "panic");
        assert.equal(answer.message, "Internal server error");
        assert.equal(await ask(socket, "echo", "alive"), "alive");
      });

      test("events of one client are handled in order, the slow one first", async () => {
        const socket = await clients.connect();
        const order = [];
        await Promise.all(
          [30, 20, 10, 0].map(async (delay) => order.push(await ask(socket, "slow", delay))),
        );
        assert.deepEqual(order, [30, 20, 10, 0]);
      });
    });

    describe("rooms", () => {
      /** Three clients that note every "news"; a and b are in the room. */
      const trio = async (room) => {
        const sockets = await Promise.all(["a", "b", "c"].map(() => clients.connect()));
        const heard = sockets.map((socket) => collect(socket, "news"));
        await ask(sockets[0], "join", room);
        await ask(sockets[1], "join", room);
        return { sockets, heard };
      };
      /** Everything sent before it has arrived when the echo is back, for order is kept. */
      const settled = (sockets) => Promise.all(sockets.map((socket) => ask(socket, "echo", "settled")));
      const texts = (heard) => heard.map(({ seen }) => seen.map(([data]) => data));

      for (const [what, event, message, expected] of [
        ["to the room leaves out the sender and strangers", "to-room", { room: "r1", data: "x" }, [[], ["x"], []]],
        ["in the room includes the sender", "in-room", { room: "r1", data: "x" }, [["x"], ["x"], []]],
        ["to an empty room reaches nobody", "in-room", { room: "empty", data: "x" }, [[], [], []]],
        ["except the room reaches the stranger", "except", { room: "r1", data: "x" }, [[], [], ["x"]]],
        ["to the others", "others", "x", [[], ["x"], ["x"]]],
        ["to everyone", "everyone", { deep: ["x"] }, [[{ deep: ["x"] }], [{ deep: ["x"] }], [{ deep: ["x"] }]]],
      ]) {
        test(what, async () => {
          const { sockets, heard } = await trio("r1");
          await ask(sockets[0], event, message);
          await settled(sockets);
          assert.deepEqual(texts(heard), expected);
        });
      }

      test("a binary broadcast arrives whole", async () => {
        const { sockets, heard } = await trio("r2");
        await ask(sockets[0], "photo", { room: "r2", bytes: Buffer.of(1, 2, 3) });
        await settled(sockets);
        for (const { seen } of heard.slice(0, 2)) assert.deepEqual(Uint8Array.from(seen[0][0].bytes), Uint8Array.of(1, 2, 3));
        assert.equal(heard[2].seen.length, 0);
      });

      test("who left hears no more", async () => {
        const { sockets, heard } = await trio("r3");
        assert.deepEqual(await ask(sockets[1], "join", "other"), ["other", "r3"]);
        assert.deepEqual(await ask(sockets[1], "leave", "r3"), ["other"]);
        await ask(sockets[0], "in-room", { room: "r3", data: "x" });
        await settled(sockets);
        assert.deepEqual(texts(heard), [["x"], [], []]);
      });

      test("a socket's id is a room of its own", async () => {
        const { sockets, heard } = await trio("r4");
        await ask(sockets[0], "to-room", { room: sockets[2].id, data: "psst" });
        await settled(sockets);
        assert.deepEqual(texts(heard), [[], [], ["psst"]]);
      });
    });

    describe("disconnect", () => {
      /** What the server tells a bystander about the end of `socket`. */
      const farewell = async (socket, end) => {
        const bystander = await clients.connect();
        const left = collect(bystander, "left");
        const { id } = socket;
        end();
        for (let n = 1; ; n += 1) {
          const [[report]] = (await left.take(n)).slice(-1);
          if (report.id === id) return report.reason;
        }
      };

      test("by the client", async () => {
        const socket = await clients.connect();
        const reason = once(socket, "disconnect");
        assert.equal(await farewell(socket, () => socket.disconnect()), "client namespace disconnect");
        assert.equal((await reason)[0], "io client disconnect");
      });

      test("by the server, one namespace", async () => {
        const socket = await clients.connect();
        const reason = once(socket, "disconnect");
        assert.equal(
          await farewell(socket, () => socket.emit("kick", { close: false })),
          "server namespace disconnect",
        );
        assert.equal((await reason)[0], "io server disconnect");
      });

      test("by the server, the connection", async () => {
        const socket = await clients.connect();
        const reason = once(socket, "disconnect");
        assert.equal(await farewell(socket, () => socket.emit("kick", { close: true })), "server namespace disconnect");
        assert.equal((await reason)[0], "io server disconnect");
      });

      test("the transport is closed", async () => {
        const socket = await clients.connect();
        const reason = once(socket, "disconnect");
        assert.equal(await farewell(socket, () => socket.io.engine.close()), "transport close");
        assert.equal((await reason)[0], "forced close");
      });

      test("the client falls silent", async () => {
        const socket = await clients.connect();
        // From here on nothing is sent, so no pong either.
        socket.io.engine.transport.write = () => {};
        socket.io.engine.transport.send = () => {};
        assert.equal(await farewell(socket, () => {}), "ping timeout");
      });
    });

    describe("reconnection", () => {
      test("after the server was killed and started again on the same port", async () => {
        let mortal = await Server.start("interop_server");
        const { port } = mortal;
        try {
          const own = new Clients(mortal, transport);
          const socket = await own.connect("/", {
            reconnection: true,
            reconnectionDelay: 50,
            reconnectionDelayMax: 100,
          });
          const { id } = socket;
          const gone = once(socket, "disconnect");
          await mortal.stop();
          assert.match((await gone)[0], /^transport (close|error)$/);
          const echo = once(socket, "echo", 10_000);
          socket.emit("echo", "sent while away");
          mortal = await Server.start("interop_server", { port });
          assert.deepEqual(await echo, ["sent while away"]);
          assert.equal(socket.connected, true);
          assert.notEqual(socket.id, id);
          assert.equal((await ask(socket, "whoami")).id, socket.id);
          own.close();
        } finally {
          await mortal.stop();
        }
      });
    });
  });
}
