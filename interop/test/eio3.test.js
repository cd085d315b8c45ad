// Old clients: socket.io-client 2, which speaks Engine.IO 3, against the `interop_server` program over all transports, and
// the protocol by hand against the `engine_echo` program. Both are told to let such clients in by EIO3=1.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { io } from "socket.io-client";
import ioV2 from "socket.io-client-v2";
import { Peer, request } from "../lib/raw.js";
import { Server, missingServer, reference } from "../lib/server.js";
import { Clients, TRANSPORTS } from "../lib/transports.js";
import { PATIENCE, collect, once, pause, within } from "../lib/wait.js";

const env = { EIO3: "1" };

/** Emits and returns the first argument of the acknowledgement. */
const ask = (socket, event, ...args) =>
  within(PATIENCE, `the answer to "${event}"`, new Promise((resolve) => socket.emit(event, ...args, resolve)));

for (const [label, transport] of TRANSPORTS) {
  describe(`socket.io-client 2, ${label}`, { skip: missingServer("interop_server") }, () => {
    let server, clients;
    before(async () => {
      server = await Server.start("interop_server", { env });
    });
    after(() => server?.stop());
    beforeEach(() => {
      clients = new Clients(server, transport, ioV2);
    });
    afterEach(() => clients.close());

    test("is let into the root, with the id that it makes by itself", async () => {
      const socket = await clients.connect("/", { query: { team: "red" } });
      const last = transport.transports.at(-1);
      assert.match(socket.id, /^[\w-]{20}$/);
      assert.deepEqual(await ask(socket, "whoami"), { id: socket.id, auth: {}, team: "red", transport: last });
    });

    test("enters a namespace, whose query is the auth", async () => {
      const socket = await clients.connect("/private", { query: { token: "secret" } });
      assert.equal(socket.id, `/private#${socket.io.engine.id}`);
      assert.equal(socket.connected, true);
    });

    test("several namespaces share the connection", async () => {
      const socket = await clients.connect();
      const news = socket.io.socket("/news");
      await once(news, "connect");
      const received = once(news, "news");
      await ask(news, "everyone", { a: 1 });
      assert.deepEqual(await received, [{ a: 1 }]);
      assert.equal(socket.connected, true);
    });

    test("a refusal is an error event", async () => {
      const socket = clients.start("/private", { query: { token: "wrong" } });
      const [error] = await once(socket, "error");
      assert.deepEqual(error, { message: "not authorized", content: "retry later" });
    });

    test("an unknown namespace is an error event", async () => {
      const socket = clients.start("/nowhere");
      const [error] = await once(socket, "error");
      // The original sends an object here, and its version 2 sent the text.
      assert.equal(reference ? error.message : error, "Invalid namespace");
    });

    test("events and acknowledgements of every kind of value", async () => {
      const socket = await clients.connect();
      const values = ["žluťoučký 😀", 1.5, null, true, { a: [1, { b: "\u2028" }] }, []];
      const echo = once(socket, "echo");
      socket.emit("echo", ...values);
      assert.deepEqual(await echo, values);
    });

    test("many messages stay in order", async () => {
      const socket = await clients.connect();
      const echo = collect(socket, "echo");
      const expected = Array.from({ length: 500 }, (_, i) => [i, "é"]);
      for (const args of expected) socket.emit("echo", ...args);
      assert.deepEqual(await echo.take(500), expected);
    });

    test("the server asks, the client answers", async () => {
      const socket = await clients.connect();
      socket.on("question", (question, answer) => answer(`${question}!`));
      assert.equal(await ask(socket, "ask-me", { question: "well", timeout: 1000 }), "well!");
    });

    test("binary in both directions", async () => {
      const socket = await clients.connect();
      assert.deepEqual(Buffer.from(await ask(socket, "reverse", Buffer.of(1, 2, 255))), Buffer.of(255, 2, 1));
      const big = Buffer.alloc(200_000, (_, i) => i);
      assert.deepEqual(Buffer.from(await ask(socket, "reverse", big)), Buffer.from(big).reverse());
      const answer = await ask(socket, "inspect", { name: "photo", data: Buffer.of(9, 8, 7) });
      assert.deepEqual([answer.name, answer.length, ...answer.first], ["photo", 3, 9, 8]);
      const echo = once(socket, "echo");
      socket.emit("echo", Buffer.of(1), { deep: [Buffer.of(2, 3)] }, "text", Buffer.alloc(0));
      const [first, second, third, fourth] = await echo;
      assert.deepEqual([...first, ...second.deep[0]], [1, 2, 3]);
      assert.deepEqual([third, fourth.length], ["text", 0]);
    });

    test("broadcasts reach old and new clients, bytes included", async () => {
      const [sender, old] = [await clients.connect(), await clients.connect()];
      const modern = new Clients(server, transport, io);
      try {
        const young = await modern.connect();
        for (const socket of [old, young]) assert.deepEqual(await ask(socket, "join", "a"), ["a"]);
        const all = [old, young].map((socket) => once(socket, "news"));
        await ask(sender, "photo", { room: "a", bytes: Buffer.of(1, 2, 3) });
        for (const [news] of await Promise.all(all)) assert.deepEqual([...news.bytes], [1, 2, 3]);
        const others = [old, young].map((socket) => once(socket, "news"));
        await ask(sender, "others", "text");
        assert.deepEqual(await Promise.all(others), [["text"], ["text"]]);
      } finally {
        modern.close();
      }
    });

    test("leaves, and is put out, with the reason", async () => {
      const [watcher, first, second] = [await clients.connect(), await clients.connect(), await clients.connect()];
      const left = collect(watcher, "left");
      const { id } = first;
      first.disconnect();
      await left.take(1);
      assert.equal(left.seen[0][0].id, id);
      const gone = once(second, "disconnect");
      second.emit("kick", { close: false });
      assert.deepEqual(await gone, ["io server disconnect"]);
      const reasons = (await left.take(2)).map(([{ reason }]) => reason);
      assert.equal(reasons[1], "server namespace disconnect");
    });

    test("its pings keep it connected over several intervals", async () => {
      const socket = await clients.connect();
      const ended = collect(socket, "disconnect");
      await pause(3_500);
      assert.deepEqual(ended.seen, []);
      assert.deepEqual(await ask(socket, "join", "still"), ["still"]);
    });
  });
}

describe("socket.io-client 2, not let in", { skip: missingServer("interop_server") }, () => {
  test("is told so", async () => {
    const server = await Server.start("interop_server");
    const clients = new Clients(server, { transports: ["polling"] }, ioV2);
    try {
      await once(clients.start(), "connect_error");
    } finally {
      clients.close();
      await server.stop();
    }
  });
});

describe("Engine.IO 3", { skip: missingServer("engine_echo") }, () => {
  let server, http, ws;
  before(async () => {
    server = await Server.start("engine_echo", { env });
    http = `${server.url}/engine.io/`;
    ws = `${server.wsUrl}/engine.io/`;
  });
  after(() => server?.stop());

  /** Opens a session on polling and returns the URL of its requests. */
  const open = async (query = "") => {
    const url = `${http}?EIO=3&transport=polling${query}`;
    const { status, body } = await request(url);
    assert.equal(status, 200, body);
    const [, length, json] = /^(\d+):0(.*)$/.exec(body);
    assert.equal(Number(length), json.length + 1);
    return `${url}&sid=${JSON.parse(json).sid}`;
  };
  const octets = (body) => ({
    method: "POST",
    body: Uint8Array.from(body),
    headers: { "content-type": "application/octet-stream" },
  });
  const bytes = async (url) => {
    const response = await fetch(url, { signal: AbortSignal.timeout(PATIENCE) });
    return [response.headers.get("content-type"), [...new Uint8Array(await response.arrayBuffer())]];
  };

  test("without EIO it is version 3", async () => {
    const { status, body } = await request(`${http}?transport=polling`);
    assert.equal(status, 200);
    assert.match(body, /^\d+:0\{/);
  });

  test("a request of another version is refused", async () => {
    const url = await open();
    const { status, body } = await request(url.replace("EIO=3", "EIO=4"));
    assert.deepEqual([status, body], [400, '{"code":3,"message":"Bad request"}']);
    const modern = await request(`${http}?EIO=4&transport=polling`);
    const { sid } = JSON.parse(modern.body.slice(1));
    const refused = await request(`${http}?EIO=3&transport=polling&sid=${sid}`);
    assert.deepEqual([refused.status, refused.body], [400, '{"code":3,"message":"Bad request"}']);
  });

  test("lengths of text count UTF-16 code units", async () => {
    const url = await open();
    const posted = await request(url, { method: "POST", body: "3:4é€5:4😀ab" });
    assert.deepEqual([posted.status, posted.body], [200, "ok"]);
    assert.equal((await request(url)).body, "3:4é€5:4😀ab");
  });

  test("bytes go in a binary payload", async () => {
    const url = await open();
    const body = [1, 4, 0xff, 4, 1, 2, 3];
    assert.equal((await request(url, octets(body))).body, "ok");
    assert.deepEqual(await bytes(url), ["application/octet-stream", body]);
  });

  test("bytes go as base64 to who asks for it", async () => {
    const url = await open("&b64=1");
    assert.equal((await request(url, { method: "POST", body: "10:b4AQIDBA==" })).body, "ok");
    assert.equal((await request(url)).body, "10:b4AQIDBA==");
  });

  test("what is no payload ends the session", async () => {
    for (const body of ["abc", "4a", "2:4a\x1e"]) {
      const url = await open();
      await request(url, { method: "POST", body });
      assert.equal((await request(url)).status, 400, body);
    }
  });

  test("the client pings on polling", async () => {
    const url = await open();
    await request(url, { method: "POST", body: "1:2" });
    assert.equal((await request(url)).body, "1:3");
  });

  test("frames of bytes begin with their type", async () => {
    const peer = new Peer(`${ws}?EIO=3&transport=websocket`);
    await peer.next();
    peer.send("4text", Buffer.of(4, 1, 2), Buffer.of(4));
    assert.equal(await peer.next(), "4text");
    assert.deepEqual(await peer.next(), Uint8Array.of(4, 1, 2));
    assert.deepEqual(await peer.next(), Uint8Array.of(4));
    peer.close();
  });

  test("a client that pings stays, and the server sends no ping", async () => {
    const peer = new Peer(`${ws}?EIO=3&transport=websocket`);
    await peer.next();
    for (let i = 0; i < 3; i += 1) {
      await pause(300);
      peer.send("2");
      assert.equal(await peer.next(), "3");
    }
    assert.equal(peer.pings, 0);
    // Interval and timeout together are 500 ms.
    const { code } = await peer.closed(2_000);
    assert.equal(code, 1005);
  });

  test("an upgrade takes the session along", async () => {
    const url = await open();
    const sid = new URL(url).searchParams.get("sid");
    const peer = new Peer(`${ws}?EIO=3&transport=websocket&sid=${sid}`);
    await peer.opened;
    peer.send("2probe");
    assert.equal(await peer.next(), "3probe");
    assert.equal((await request(url)).body, "1:6");
    peer.send("5", "4after", Buffer.of(4, 9));
    assert.equal(await peer.next(), "4after");
    assert.deepEqual(await peer.next(), Uint8Array.of(4, 9));
    assert.equal((await request(url)).status, 400);
    peer.close();
  });
});
