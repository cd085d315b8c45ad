// What every official client must find, whatever its version, transport and packet format: one set of cases, which
// test/matrix.test.js runs for each combination. Nothing here knows the wire.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { Proxy } from "./proxy.js";
import { Server, reference } from "./server.js";
import { Clients } from "./transports.js";
import { PATIENCE, collect, once, within } from "./wait.js";

/** The largest message that the server takes, in bytes. */
const LIMIT = 1_000_000;

const bytes = (...values) => Buffer.from(values);
const shared = bytes(7, 7);

/** Arguments with binary data, wherever it can stand. */
const BINARY = [
  ["alone", [bytes(1, 2, 255)]],
  ["before others", [bytes(1), "text", 7]],
  ["behind others", ["text", null, bytes(0)]],
  ["between others", [true, bytes(2), false]],
  ["several times", [bytes(1), bytes(2), bytes(3)]],
  ["in an object", [{ a: bytes(1), b: "c" }]],
  ["in an array", [[bytes(1), [bytes(2)]]]],
  ["deep", [{ a: [{ b: { c: [0, { d: bytes(9) }] } }] }, bytes(8)]],
  ["empty", [bytes(), { a: bytes() }]],
  ["twice the same", [shared, { again: shared }]],
  ["as often as allowed", Array.from({ length: 10 }, (_, i) => bytes(i))],
  ["beside what looks like it", [{ _placeholder: false, num: 0 }, bytes(5)]],
];

const VALUES = [
  ["strings", ["", "a", '"quoted" \\ \n\t']],
  // The msgpack parser of the clients makes 0 of whole numbers beyond 2^64.
  ["numbers", [0, -1, 1.5, -1e-300, 2 ** 31, 2 ** 40, -(2 ** 40), Number.MAX_SAFE_INTEGER]],
  ["booleans and null", [true, false, null]],
  ["objects and arrays", [{}, [], { a: [1, { b: null }], "": {} }, [[[]]]]],
  ["unicode", ["žluťoučký kůň", "日本語", "👩‍👩‍👧‍👦 🦀", "e\u0301", "\u202eright to left", "\u2028\u2029\ufeff", "\0\u001e\x7f", "\u{10ffff}"]],
  ["unicode in keys", [{ ключ: { "🦀": [1] }, "\u001e": 2 }]],
];

/** Buffers where there are bytes, of whatever type. */
function plain(value) {
  if (value instanceof ArrayBuffer) return Buffer.from(value);
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}

/** All values of an acknowledgement. */
const askAll = (socket, event, ...args) =>
  within(
    PATIENCE,
    `the answer to "${event}"`,
    new Promise((resolve) => socket.emit(event, ...args, (...answer) => resolve(answer))),
  );

const ask = async (socket, event, ...args) => (await askAll(socket, event, ...args))[0];

/** Registers the cases for one `version` of the client that comes by `transport` and speaks `format`. */
export function scenarios(version, transport, [format, options, env]) {
  let server, clients;
  before(async () => {
    server = await Server.start("interop_server", { env: { EIO3: "1", ...env } });
  });
  after(() => server?.stop());
  const clientsOf = (target) => new Clients(target, { ...transport, ...options }, version.io);
  beforeEach(() => {
    clients = clientsOf(server);
  });
  afterEach(() => clients.close());

  /** How `socket` is refused. */
  async function refused(socket) {
    const [event, read] = version.refusal;
    const [error] = await once(socket, event);
    assert.equal(socket.connected, false);
    return read(error);
  }

  test("comes in, with an id that both sides know", async () => {
    const socket = await clients.connect("/", { query: { team: "a&b=ů" } });
    assert.match(socket.id, /^[\w-]{20}$/);
    const last = transport.transports.at(-1);
    assert.deepEqual(await ask(socket, "whoami"), { id: socket.id, auth: {}, team: "a&b=ů", transport: last });
    assert.equal(socket.io.engine.transport.name, last);
  });

  describe("events and answers", () => {
    for (const [what, args] of [...VALUES, ...BINARY.map(([what, args]) => [`bytes ${what}`, args])]) {
      test(what, async () => {
        const socket = await clients.connect();
        const echo = once(socket, "echo");
        socket.emit("echo", ...args);
        assert.deepEqual(plain(await echo), args, "as an event");
        assert.deepEqual(plain(await askAll(socket, "echo", ...args)), args, "as an answer");
        socket.on("question", (_, answer) => answer(args));
        const answer = await ask(socket, "ask-me", { question: "well", timeout: PATIENCE });
        assert.deepEqual(plain(answer), args, "as the client's answer");
      });
    }

    test("the server asks with bytes, and is answered with bytes", async () => {
      const socket = await clients.connect();
      socket.on("question", ({ bytes }, answer) => answer(Buffer.concat([bytes, bytes])));
      assert.deepEqual(plain(await ask(socket, "ask-bytes", bytes(1, 2))), bytes(1, 2, 1, 2));
    });

    test("no value, and a client that does not answer", async () => {
      const socket = await clients.connect();
      assert.deepEqual(await askAll(socket, "nothing"), []);
      assert.deepEqual(await ask(socket, "ask-me", { question: "well", timeout: 50 }), { error: "timeout" });
    });

    test("many questions at once, each with its own answer", async () => {
      const socket = await clients.connect();
      const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => ask(socket, "echo", i)));
      assert.deepEqual(answers, [...Array(200).keys()]);
    });

    test("thousands of small messages stay in order, from the first on", async () => {
      const socket = clients.start();
      const echo = collect(socket, "echo");
      // Sent while it connects, while it upgrades if it does, and after.
      for (let i = 0; i < 1000; i += 1) socket.emit("echo", i);
      await once(socket, "connect");
      for (let i = 1000; i < 2000; i += 1) socket.emit("echo", i % 100 === 0 ? bytes(i / 100) : i);
      await clients.upgraded(socket);
      for (let i = 2000; i < 3000; i += 1) socket.emit("echo", i);
      const expected = Array.from({ length: 3000 }, (_, i) => i);
      for (let i = 1000; i < 2000; i += 100) expected[i] = bytes(i / 100);
      assert.deepEqual((await echo.take(3000, 2 * PATIENCE)).map(([value]) => plain(value)), expected);
    });
  });

  describe("rooms", () => {
    test("a broadcast with bytes reaches the room, whatever its name, and nobody else", async () => {
      const [sender, member, stranger] = await Promise.all([1, 2, 3].map(() => clients.connect()));
      const heard = [sender, member, stranger].map((socket) => collect(socket, "news"));
      const room = "růžová 🦀 \u2028";
      for (const socket of [sender, member]) assert.deepEqual(await ask(socket, "join", room), [room]);
      await ask(sender, "photo", { room, bytes: bytes(1, 2, 3) });
      await ask(sender, "to-room", { room, data: { text: "ů" } });
      await ask(sender, "except", { room, data: "for others" });
      for (const socket of [sender, member, stranger]) await ask(socket, "nothing");
      const photo = { bytes: bytes(1, 2, 3) };
      const all = heard.map(({ seen }) => seen.map(([data]) => plain(data)));
      assert.deepEqual(all, [[photo], [photo, { text: "ů" }], ["for others"]]);
    });

    test("a room is asked", async () => {
      const sockets = await Promise.all([1, 2].map(() => clients.connect()));
      for (const [at, socket] of sockets.entries()) {
        socket.on("question", (question, answer) => answer(`${question} ${at}`));
        await ask(socket, "join", "panel");
      }
      const { answers } = await ask(sockets[0], "ask-room", { room: "panel", question: "who", timeout: PATIENCE });
      assert.deepEqual(answers.sort(), ["who 0", "who 1"]);
    });
  });

  describe("namespaces", () => {
    test("with credentials", async () => {
      const socket = await clients.connect("/private", version.credentials({ token: "secret" }));
      assert.equal(socket.connected, true);
    });

    test("a refusal says why", async () => {
      const { message, data } = await refused(clients.start("/private", version.credentials({ token: "wrong" })));
      assert.equal(message, "not authorized");
      assert.deepEqual(data, { message: "not authorized", content: "retry later" });
    });

    test("one that does not exist", async () => {
      assert.equal((await refused(clients.start("/nowhere"))).message, "Invalid namespace");
    });

    test("come into being when asked for", async () => {
      const [here, too, there] = await Promise.all(["/room-1", "/room-1", "/room-2"].map((name) => clients.connect(name)));
      assert.equal(await ask(there, "where"), "/room-2");
      const heard = [here, too, there].map((socket) => collect(socket, "said"));
      here.emit("say", "hello", bytes(1));
      await Promise.all([heard[0].take(1), heard[1].take(1)]);
      await ask(there, "where");
      const all = heard.map(({ seen }) => plain(seen));
      assert.deepEqual(all, [[["hello", bytes(1)]], [["hello", bytes(1)]], []]);
    });

    const encoded = reference && version.engine === 3 && "Node percent-encodes the names that clients of version 2 give";
    test("come into being under any name", { skip: encoded }, async () => {
      const socket = await clients.connect();
      const room = clients.beside(socket, "/room-růžová 🦀");
      await once(room, "connect");
      assert.equal(await ask(room, "where"), "/room-růžová 🦀");
    });

    test("do not come into being when middleware refuses", async () => {
      const socket = await clients.connect();
      const { message, data } = await refused(clients.beside(socket, "/room-13"));
      assert.deepEqual(data, { until: "tomorrow" });
      // A client of version 2 gets the data alone.
      if (version.engine === 4) assert.equal(message, "out of order");
      assert.equal(await ask(socket, "echo", "still here"), "still here");
    });

    test("share a connection, and are apart", async () => {
      const main = await clients.connect();
      const [news, room] = [clients.beside(main, "/news"), clients.beside(main, "/room-3")];
      await Promise.all([once(news, "connect"), once(room, "connect")]);
      assert.equal(new Set([main.id, news.id, room.id]).size, 3);
      const heard = [collect(main, "echo"), collect(news, "news"), collect(room, "said")];
      const wanted = [[], [], []];
      for (let i = 0; i < 30; i += 1) {
        const value = i % 5 === 0 ? { i, bytes: bytes(i) } : { i };
        main.emit("echo", value);
        room.emit("say", value);
        if (!value.bytes) news.emit("everyone", value, () => {});
        for (const list of value.bytes ? [wanted[0], wanted[2]] : wanted) list.push(value);
      }
      for (const [at, list] of wanted.entries()) {
        const seen = await heard[at].take(list.length);
        assert.deepEqual(seen.map(([value]) => plain(value)), list);
      }
      room.disconnect();
      assert.equal(await ask(main, "echo", "still here"), "still here");
      assert.equal(news.connected, true);
      const again = once(room, "connect");
      room.connect();
      await again;
      assert.equal(await ask(room, "where"), "/room-3");
    });

    test("share a connection by themselves, unless it is forced", async () => {
      const sockets = [
        clients.start("/news", { forceNew: false }),
        clients.start("/room-4", { forceNew: false }),
        clients.start("/news", { forceNew: false }),
        clients.start("/room-4", { forceNew: true }),
        clients.start("/room-4", { forceNew: false, multiplex: false }),
      ];
      await Promise.all(sockets.map((socket) => once(socket, "connect")));
      const engines = sockets.map((socket) => socket.io.engine.id);
      assert.equal(engines[0], engines[1]);
      // The third asks for a namespace that its connection would have twice.
      assert.equal(new Set(engines).size, 4);
      assert.equal(new Set(sockets.map(({ id }) => id)).size, 5);
    });
  });

  describe("the end", () => {
    /** What a bystander is told about the end of `socket`. */
    async function farewell(socket, end) {
      const left = collect(await clients.connect(), "left");
      const { id } = socket;
      const gone = once(socket, "disconnect");
      end();
      const [reason] = await gone;
      for (let n = 1; ; n += 1) {
        const [[report]] = (await left.take(n)).slice(-1);
        if (report.id === id) return [reason, report.reason];
      }
    }

    test("by the client", async () => {
      const socket = await clients.connect();
      const end = await farewell(socket, () => socket.disconnect());
      assert.deepEqual(end, ["io client disconnect", "client namespace disconnect"]);
    });

    for (const close of [false, true]) {
      test(`by the server, ${close ? "the connection" : "one namespace"}`, async () => {
        const socket = await clients.connect();
        const end = await farewell(socket, () => socket.emit("kick", { close }));
        assert.deepEqual(end, ["io server disconnect", "server namespace disconnect"]);
      });
    }
  });

  describe("large messages", () => {
    // On polling, bytes travel as base64; all packets of MessagePack are bytes.
    const isPolling = transport.transports.at(-1) === "polling";
    const room = (isBinary) => Math.floor((LIMIT - 200) * (isPolling && isBinary ? 0.75 : 1));

    test("text just below the limit passes, and just above ends the connection and no other", async () => {
      const [socket, witness] = [await clients.connect(), await clients.connect()];
      const text = "0123456789".repeat(LIMIT / 10).slice(0, room(format === "MessagePack"));
      assert.equal(await ask(socket, "echo", text), text);
      const gone = once(socket, "disconnect");
      socket.emit("echo", "x".repeat(LIMIT + 1));
      assert.match((await gone)[0], /^transport (close|error)$/);
      assert.equal(await ask(witness, "echo", "untouched"), "untouched");
    });

    test("bytes just below the limit pass, and just above end the connection and no other", async () => {
      const [socket, witness] = [await clients.connect(), await clients.connect()];
      const data = Buffer.alloc(room(true), (_, at) => at);
      assert.ok(plain(await ask(socket, "reverse", data)).reverse().equals(data));
      const gone = once(socket, "disconnect");
      socket.emit("echo", Buffer.alloc(LIMIT + 1));
      assert.match((await gone)[0], /^transport (close|error)$/);
      assert.equal(await ask(witness, "echo", "untouched"), "untouched");
    });
  });

  describe("a connection that is cut", () => {
    const lasting = { reconnection: true, reconnectionDelay: 20, reconnectionDelayMax: 50 };

    test("is made again by the client, which then sends what it has kept", async () => {
      const proxy = await Proxy.start(server.port);
      const cuttable = clientsOf(proxy);
      try {
        const witness = await clients.connect();
        const socket = await cuttable.connect("/", lasting);
        const echo = collect(socket, "echo");
        const { id } = socket;
        const [left, lost] = [once(witness, "left"), once(socket, "disconnect")];
        proxy.cut();
        assert.match((await lost)[0], /^transport (close|error)$/);
        assert.equal((await left)[0].id, id);
        for (let n = 0; n < 3; n += 1) socket.emit("echo", n, bytes(n));
        const connected = once(socket, "connect");
        proxy.mend();
        await connected;
        assert.notEqual(socket.id, id);
        const kept = (await echo.take(3)).map(plain);
        assert.deepEqual(kept, [0, 1, 2].map((n) => [n, bytes(n)]));
        assert.deepEqual(await ask(socket, "join", "fresh"), ["fresh"]);
      } finally {
        cuttable.close();
        proxy.close();
      }
    });

    const cannot = !version.recovers && "recovery came with version 4.6 of the client";
    test("is recovered: id, rooms, and what was missed", { skip: cannot }, async () => {
      const keeping = await Server.start("interop_server", { env: { RECOVERY: "1", ...env } });
      const proxy = await Proxy.start(keeping.port);
      const [direct, cuttable] = [clientsOf(keeping), clientsOf(proxy)];
      try {
        const witness = await direct.connect();
        const socket = await cuttable.connect("/", lasting);
        const news = collect(socket, "news");
        await ask(socket, "join", "red");
        await ask(witness, "everyone", "before");
        await news.take(1);
        const { id } = socket;
        const [left, lost] = [once(witness, "left"), once(socket, "disconnect")];
        proxy.cut();
        await Promise.all([left, lost]);
        await ask(witness, "in-room", { room: "red", data: { n: 1 } });
        await ask(witness, "in-room", { room: "blue", data: "not for it" });
        await ask(witness, "photo", { room: "red", bytes: bytes(1, 2) });
        const connected = once(socket, "connect");
        proxy.mend();
        await connected;
        assert.equal(socket.recovered, true);
        assert.equal(socket.id, id);
        await ask(witness, "in-room", { room: "red", data: "after" });
        const got = (await news.take(4)).map(([data]) => plain(data));
        assert.deepEqual(got, ["before", { n: 1 }, { bytes: bytes(1, 2) }, "after"]);
      } finally {
        direct.close();
        cuttable.close();
        proxy.close();
        await keeping.stop();
      }
    });
  });
}
