// Packets that no honest client sends, and sessions that are used as no client would, against the `interop_server`
// program: each is ignored, or ends its own session with the reason of the protocol. A bystander is connected from the
// first case to the last: it is told who leaves, and why, and is answered after each case.

import assert from "node:assert/strict";
import net from "node:net";
import { after, afterEach, before, describe, test } from "node:test";
import { Peer, Polling, RawSocket } from "../lib/raw.js";
import { Server, missingServer, reference } from "../lib/server.js";
import { PATIENCE, within } from "../lib/wait.js";

const bytes = (...values) => Uint8Array.from(values);
const placeholder = (num) => `{"_placeholder":true,"num":${num}}`;

/** What, and the packets: text or bytes, as Socket.IO hands them to Engine.IO. */
const FATAL = [
  ["eleven attachments", ['511-["echo"]']],
  ["attachments by the billion", ['5999999999-["echo"]']],
  ["a binary event without attachments", ['50-["echo"]']],
  ["a binary event that does not say how many", ['5["echo"]']],
  ["a placeholder behind the last attachment", [`51-["echo",${placeholder(1)}]`, bytes(1)]],
  ["a placeholder before the first", [`51-["echo",${placeholder(-1)}]`, bytes(1)]],
  ["a placeholder by name", [`51-["echo",${placeholder('"splice"')}]`, bytes(1)]],
  ["a placeholder without a number", ['51-["echo",{"_placeholder":true}]', bytes(1)]],
  ["an attachment that nobody announced", [bytes(1)]],
  ["one attachment too many", [`51-["unheard",${placeholder(0)}]`, bytes(1), bytes(2)]],
  ["text where an attachment is due", [`52-["echo",${placeholder(0)}]`, bytes(1), '2["echo",1]']],
  ...["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"].map((name) => [
    `the reserved name ${name}`,
    [`2["${name}"]`],
  ]),
  ["a reserved name with bytes", [`51-["disconnect",${placeholder(0)}]`, bytes(1)]],
  ["an object for a name", ['2[{"toString":"foo"}]']],
  ["a list for a name", ['2[["echo"]]']],
  ["null for a name", ["2[null]"]],
  ["an event without a name", ["2[]"]],
  ["an event that is no list", ['2{"echo":1}']],
  ["an event that goes on behind its end", ['2["echo",1]2']],
  ["an answer that is no list", ["31{}"]],
  ["a second CONNECT", ["0"]],
  ["a second CONNECT with other credentials", ['0{"token":"secret"}']],
  ["credentials that are no object", ["0/news,[]"]],
  ["a CONNECT_ERROR", ['4{"message":"no"}']],
  ["a DISCONNECT with data", ["1{}"]],
  ["an event for a namespace that it is not in", ['2/news,["everyone",1]']],
  ["an answer for a namespace that it is not in", ["3/news,1[]"]],
  ["a DISCONNECT from a namespace that it is not in", ["1/news,"]],
  ["a type that there is not", ["7"]],
  ["what is no packet", ["hello"]],
];

/** What Node lets pass: it hands over `undefined`, and looks for the answer of nobody. */
const FATAL_HERE = [
  ["a placeholder between two", [`52-["echo",${placeholder(0.5)}]`, bytes(1), bytes(2)]],
  ["an answer without an id", ['3["here"]']],
];

const HARMLESS = [
  ["an answer that nobody asked for", ['3123["here"]']],
  ["an answer with bytes that nobody asked for", [`61-123[${placeholder(0)}]`, bytes(1)]],
  ["events with names that JavaScript has", ['2["error"]', '2["connection"]', '2["constructor"]', '2["__proto__",1]']],
  ["a number for a name", ["2[7]"]],
  ["an attachment that no placeholder wants", [`52-["unheard",${placeholder(1)}]`, bytes(1), bytes(2)]],
  ["a placeholder in a packet without attachments", [`2["unheard",${placeholder(0)}]`]],
];

describe("bad packets", { skip: missingServer("interop_server") }, () => {
  let server, base, url, bystander;
  let asked = 0;
  before(async () => {
    server = await Server.start("interop_server");
    base = `${server.url}/socket.io/`;
    url = `${server.wsUrl}/socket.io/?EIO=4&transport=websocket`;
    bystander = (await OverWebSocket.open()).peer;
  });
  after(() => {
    bystander?.close();
    return server?.stop();
  });
  afterEach(untouched);

  async function untouched() {
    assert.ok(server.alive, `the server died:\n${server.output}`);
    asked += 1;
    bystander.send(`42${asked}["echo","well"]`);
    let answer;
    do answer = await bystander.next();
    while (answer.startsWith('42["left",'));
    assert.equal(answer, `43${asked}["well"]`);
  }

  /** Why the bystander is told that `id` has left. */
  async function farewell(id) {
    for (;;) {
      const [event, report] = JSON.parse((await bystander.next()).slice(2));
      if (event === "left" && report.id === id) return report.reason;
    }
  }

  const idOf = (reply) => JSON.parse(/^40(\{.*\})$/.exec(reply)[1]).sid;

  /** A client in `/`, by hand. */
  class OverWebSocket {
    static async open() {
      const peer = new Peer(url, { pong: true });
      await peer.next();
      peer.send("40");
      return new OverWebSocket(peer, idOf(await peer.next()));
    }

    constructor(peer, id) {
      Object.assign(this, { peer, id });
    }

    async send(...packets) {
      this.peer.send(...packets.map((packet) => (typeof packet === "string" ? `4${packet}` : packet)));
    }

    next() {
      return this.peer.next();
    }

    async ended() {
      assert.deepEqual(await this.peer.closed(), { code: 1005, reason: "" });
    }

    close() {
      this.peer.close();
    }
  }

  class OverPolling {
    #packets = [];

    static async open() {
      const session = await Polling.open(base);
      await session.post("40");
      const [reply] = await session.packets();
      return new OverPolling(session, idOf(reply));
    }

    constructor(session, id) {
      Object.assign(this, { session, id });
    }

    /** All in one POST. */
    async send(...packets) {
      const encode = (packet) =>
        typeof packet === "string" ? `4${packet}` : `b${Buffer.from(packet).toString("base64")}`;
      const answer = await this.session.post(packets.map(encode).join("\x1e"));
      assert.deepEqual([answer.status, answer.body], [200, "ok"]);
    }

    async next() {
      if (this.#packets.length === 0) this.#packets = await this.session.packets();
      return this.#packets.shift();
    }

    async ended() {
      const goodbye = await this.session.get();
      assert.equal(goodbye.status, 200);
      assert.equal(goodbye.body.split("\x1e").at(-1), "1");
      const { status, body } = await this.session.get();
      assert.deepEqual([status, body], [400, '{"code":1,"message":"Session ID unknown"}']);
    }

    /** It has nothing to close: the server misses its pongs. */
    close() {}
  }

  async function alive(client) {
    await client.send('29["echo","after"]');
    assert.equal(await client.next(), '439["after"]');
  }

  for (const [way, Client] of [["WebSocket", OverWebSocket], ["polling", OverPolling]]) {
    describe(`Socket.IO packets over ${way}`, () => {
      for (const [what, packets] of [...FATAL, ...FATAL_HERE]) {
        const skip = reference && FATAL_HERE.some(([here]) => here === what) && "Node lets it pass";
        test(`${what} ends the connection`, { skip }, async () => {
          const client = await Client.open();
          await client.send(...packets);
          // Node waits for the next poll before it closes, and then has another word for some.
          const [reason] = await Promise.all([farewell(client.id), client.ended()]);
          assert.equal(reference ? reason.replace("server ", "") : reason, "forced close");
        });
      }

      for (const [what, packets] of HARMLESS) {
        test(`${what} is ignored`, async () => {
          const client = await Client.open();
          await client.send(...packets);
          await alive(client);
          client.close();
        });
      }

      test("an answer that comes twice counts once", async () => {
        const client = await Client.open();
        await client.send('21["ask-me",{"question":"well","timeout":5000}]');
        const [, id] = /^42(\d+)\["question","well"\]$/.exec(await client.next());
        await client.send(`3${id}["first"]`, `3${id}["second"]`);
        assert.equal(await client.next(), '431["first"]');
        await alive(client);
        client.close();
      });

      test("a namespace that does not exist is refused, and the connection stays", async () => {
        const client = await Client.open();
        await client.send("0/admin,");
        assert.equal(await client.next(), '44/admin,{"message":"Invalid namespace"}');
        await alive(client);
        client.close();
      });
    });
  }

  describe("before CONNECT", () => {
    for (const [what, packet] of [
      ["an event", '42["echo",1]'],
      ["an answer", '431["echo"]'],
      ["an attachment", bytes(1, 2, 3)],
    ]) {
      test(`${what} ends the connection`, async () => {
        const peer = new Peer(url);
        await peer.next();
        peer.send(packet);
        assert.equal((await peer.closed()).code, 1005);
      });
    }
  });

  describe("too much", () => {
    // Node has no limit: it parses as deep as its stack goes.
    const noDepth = { skip: reference && "Node has no depth limit" };
    for (const [what, body] of [
      ["arrays that never end", "[".repeat(200_000)],
      ["arrays that end", "[".repeat(100_000) + "]".repeat(100_000)],
      ["objects", '{"a":'.repeat(40_000) + "1" + "}".repeat(40_000)],
    ]) {
      for (const Client of [OverWebSocket, OverPolling]) {
        test(`200 KB of nested ${what}: the sender is told (${Client.name})`, noDepth, async () => {
          const client = await Client.open();
          await client.send(`21["echo",${body}]`);
          const error = { status: "error", message: "The data nests too deep", cause: { pattern: "echo" } };
          assert.deepEqual(JSON.parse((await client.next()).slice(2)), ["exception", error]);
          assert.deepEqual(JSON.parse((await client.next()).slice(3)), [error]);
          await alive(client);
          client.close();
        });
      }
    }

    for (const [what, packet] of [
      ["an answer with an id beyond 2^53", '3123456789012345678901["who asked"]'],
      ["an event with an id beyond 2^53", '2123456789012345678901["echo",1]'],
      ["a negative id", '2-1["echo"]'],
      ["lone surrogates", '21["echo","\\ud800"]'],
      ["a very long event name", `2["${"n".repeat(500_000)}"]`],
      ["a very long namespace", `0/${"n".repeat(500_000)},`],
    ]) {
      test(`${what} harms nobody`, async () => {
        const client = await OverWebSocket.open();
        // Either it is ignored or the connection ends.
        await client.send(packet, '22["echo","after"]');
        let answer;
        do answer = await client.next().catch(() => "closed");
        while (answer !== "closed" && answer !== '432["after"]');
        client.close();
      });
    }

    test("a thousand namespaces of one connection", async () => {
      const client = await OverWebSocket.open();
      for (let i = 0; i < 1000; i += 1) await client.send(`0/no-${i},`);
      for (let i = 0; i < 1000; i += 1) {
        const answer = await client.next().catch(() => "closed");
        if (answer === "closed") break;
        assert.match(answer, /^44\/no-/);
      }
      client.close();
    });

    test("a body of ten thousand packets is worked off in order, while others are served", async () => {
      const client = await OverPolling.open();
      const posted = client.send(...Array.from({ length: 10_000 }, (_, i) => `2${i}["echo",${i}]`));
      await untouched();
      for (let i = 0; i < 10_000; i += 1) assert.equal(await client.next(), `43${i}[${i}]`);
      await posted;
      await alive(client);
    });

    const noCount = { skip: reference && "Node takes any number" };
    test("a body of more packets than allowed ends the session", noCount, async () => {
      const client = await OverPolling.open();
      await client.send(...Array(16_385).fill('2["unheard"]'));
      assert.equal(await farewell(client.id), "parse error");
      assert.equal((await client.session.get()).status, 400);
    });

    test("a body that trickles in ends the session, and others are served meanwhile", async () => {
      const client = await OverPolling.open();
      const { pathname, search } = new URL(client.session.url);
      const socket = net.connect(server.port, "127.0.0.1");
      socket.on("error", () => {});
      const answer = new Promise((resolve) => socket.once("data", (head) => resolve(head.toString("latin1"))));
      socket.write(`POST ${pathname}${search} HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\n42`);
      const trickle = setInterval(() => socket.write(" "), 50);
      try {
        const left = farewell(client.id);
        // Ping interval and timeout are a second each: either is missed, its pong or its body.
        assert.match(await left, /^(ping timeout|transport error)$/);
        if (!reference) assert.match(await within(PATIENCE, "an answer", answer), /^HTTP\/1\.1 408 /);
      } finally {
        clearInterval(trickle);
        socket.destroy();
      }
    });
  });

  describe("Engine.IO packets", () => {
    for (const [what, packet, reason] of [
      ["what is none", "abc", "parse error"],
      ["nothing", "", "parse error"],
      ["a ping, which is the server's to send", "2", "transport error"],
    ]) {
      test(`${what} ends the session, over WebSocket`, async () => {
        const client = await OverWebSocket.open();
        client.peer.send(packet);
        assert.equal(await farewell(client.id), reason);
        await client.ended();
      });

      test(`${what} ends the session, over polling`, async () => {
        const client = await OverPolling.open();
        assert.equal((await client.session.post(packet)).status, 200);
        assert.equal(await farewell(client.id), reason);
        assert.equal((await client.session.get()).status, 400);
      });
    }
  });

  describe("the upgrade", () => {
    const socketOf = (client) => `${url}&sid=${client.session.sid}`;

    /** Leaves polling: `client` is used over WebSocket from here on. */
    async function upgrade(client) {
      const peer = new Peer(socketOf(client), { pong: true });
      await peer.opened;
      peer.send("2probe");
      assert.equal(await peer.next(), "3probe");
      peer.send("5");
      const moved = new OverWebSocket(peer, client.id);
      await alive(moved);
      return moved;
    }

    for (const [what, packet] of [
      ["what is no packet", "hello"],
      ["a message", '42["echo",1]'],
      ["a probe of something else", "2other"],
      ["a close", "1"],
    ]) {
      test(`${what} instead of the probe ends the WebSocket, and the session stays on polling`, async () => {
        const client = await OverPolling.open();
        const peer = new Peer(socketOf(client));
        await peer.opened;
        peer.send(packet);
        await peer.closed();
        await alive(client);
        (await upgrade(client)).close();
      });
    }

    test("what is no WebSocket instead of the probe ends that connection alone", async () => {
      const client = await OverPolling.open();
      const raw = await RawSocket.open(socketOf(client));
      raw.frame(1, "2probe", { mask: false });
      await within(PATIENCE, "the connection to end", raw.ended);
      await alive(client);
    });

    test("a message between probe and upgrade ends the WebSocket, and the session stays on polling", async () => {
      const client = await OverPolling.open();
      const peer = new Peer(socketOf(client));
      await peer.opened;
      peer.send("2probe");
      assert.equal(await peer.next(), "3probe");
      peer.send('42["echo",1]');
      await peer.closed();
      await alive(client);
    });

    test("of two WebSockets at a time the second is turned away", async () => {
      const client = await OverPolling.open();
      const first = new Peer(socketOf(client), { pong: true });
      await first.opened;
      first.send("2probe");
      assert.equal(await first.next(), "3probe");
      const second = new Peer(socketOf(client));
      await second.closed();
      first.send("5");
      const moved = new OverWebSocket(first, client.id);
      await alive(moved);
      moved.close();
    });

    for (const [what, packet, reason] of [
      ["what is no packet", "abc", "parse error"],
      ["bytes that nobody announced", bytes(1, 2), "forced close"],
      ["another probe", "2probe", "transport error"],
      ["a second CONNECT", "40", "forced close"],
    ]) {
      test(`${what} after it ends the session`, async () => {
        const moved = await upgrade(await OverPolling.open());
        moved.peer.send(packet);
        assert.equal(await farewell(moved.id), reason);
        await moved.ended();
      });
    }

    test("bytes that are no WebSocket after it end the session", async () => {
      const client = await OverPolling.open();
      const raw = await RawSocket.open(socketOf(client));
      raw.frame(1, "2probe");
      raw.frame(1, "5");
      raw.socket.write("GET / HTTP/1.1\r\n\r\n");
      const reason = farewell(client.id);
      assert.equal(await raw.closeCode(), 1002);
      assert.equal(await reason, "transport error");
    });

    test("requests on polling after it are refused, and the session goes on", async () => {
      const client = await OverPolling.open();
      const moved = await upgrade(client);
      for (const answer of [await client.session.get(), await client.session.post('42["echo",1]')]) {
        assert.deepEqual([answer.status, answer.body], [400, '{"code":3,"message":"Bad request"}']);
      }
      const again = new Peer(socketOf(client));
      await again.closed();
      await alive(moved);
      moved.close();
    });
  });
});
