// The limits of client addresses as the official client sees them, and whom the server sees behind real proxies. Clients
// come from addresses of the loopback that are not the proxies', which Linux allows without further ado.

import assert from "node:assert/strict";
import http from "node:http";
import { afterEach, beforeEach, describe, test } from "node:test";
import WebSocket from "ws";
import { Balancer, missingBalancer } from "../lib/balancer.js";
import { Server, missingServer, reference } from "../lib/server.js";
import { Clients, TRANSPORTS } from "../lib/transports.js";
import { PATIENCE, once, within } from "../lib/wait.js";

const skip = (reference && "Gatewire's own") || missingServer("limits");
const CLIENT = "127.0.0.5";
const ask = (socket, event, ...args) => socket.timeout(PATIENCE).emitWithAck(event, ...args);
const agent = () => new http.Agent({ localAddress: CLIENT });

describe("limits of an address", { skip }, () => {
  let server;
  beforeEach(async () => {
    server = await Server.start("limits");
  });
  afterEach(() => server?.stop());

  for (const [label, transport] of TRANSPORTS) {
    test(`who is refused hears of it, and comes in by itself when there is room, ${label}`, async () => {
      const clients = new Clients(server, transport);
      const sockets = [];
      for (let n = 0; n < 5; n++) sockets.push(await clients.connect());
      const again = { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 200 };
      const late = clients.start("/", again);
      const [error] = await once(late, "connect_error");
      assert.equal(error.type, "TransportError");
      assert.equal(late.connected, false);
      // The sixth may come when one has left; until then each attempt costs one of the new sessions that come back.
      sockets[0].disconnect();
      await within(4 * PATIENCE, "the client to get in", new Promise((resolve) => late.once("connect", resolve)));
      assert.deepEqual(await ask(late, "whoami"), ["127.0.0.1", false]);
      clients.close();
    });
  }

  test("429 says when to come back", async () => {
    const sockets = [];
    const response = await within(PATIENCE, "a refusal", new Promise((resolve) => {
      for (let n = 0; n < 6; n++) {
        const socket = new WebSocket(`${server.url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`);
        socket.on("unexpected-response", (_, response) => resolve(response));
        sockets.push(socket);
      }
    }));
    assert.equal(response.statusCode, 429);
    assert.match(response.headers["retry-after"], /^[1-9]\d*$/);
    for (const socket of sockets) socket.on("error", () => {}).terminate();
  });

  test("a user has two clients, and ten messages a second over both", async () => {
    const clients = new Clients(server, TRANSPORTS[1][1]);
    const ada = { auth: { name: "ada" } };
    const [a, b] = [await clients.connect("/", ada), await clients.connect("/", ada)];
    const third = clients.start("/", ada);
    const [error] = await once(third, "connect_error");
    assert.equal(error.message, "Too many connections");
    assert.deepEqual(error.data, { status: "error", message: "Too many connections", limit: 2 });
    const answers = await Promise.all(Array.from({ length: 16 }, (_, n) => ask(n % 2 ? a : b, "whoami")));
    const refused = answers.filter((answer) => answer.message === "Too many requests");
    assert.ok(refused.length >= 2 && refused.length <= 9, `${refused.length}`);
    assert.ok(refused.every(({ retryAfter }) => retryAfter > 0 && retryAfter <= 1_000));
    clients.close();
  });
});

describe("messages that come too fast", { skip }, () => {
  let server, clients;
  const start = async (EXCESS) => {
    server = await Server.start("limits", { env: { EXCESS } });
    clients = new Clients(server, TRANSPORTS[1][1]);
    return clients.connect();
  };
  afterEach(async () => {
    clients?.close();
    await server?.stop();
  });

  test("wait, and what comes behind them is answered", async () => {
    const socket = await start("wait");
    const begin = Date.now();
    for (let n = 0; n < 150; n++) socket.emit("nothing", n);
    assert.deepEqual(await ask(socket, "whoami"), ["127.0.0.1", false]);
    // A hundred at once, fifty a second.
    assert.ok(Date.now() - begin > 700, `${Date.now() - begin} ms`);
  });

  test("are dropped, and their sender is told", async () => {
    const socket = await start("drop");
    const told = [];
    socket.on("exception", (exception) => told.push(exception));
    for (let n = 0; n < 150; n++) socket.emit("nothing", n);
    const answer = await ask(socket, "whoami");
    assert.equal(answer.message, "Too many requests");
    assert.equal(answer.status, "error");
    assert.ok(answer.retryAfter > 0);
    assert.ok(told.some(({ message }) => message === "Too many requests"));
    assert.equal(socket.connected, true);
  });

  test("put a client out, which does not come back", async () => {
    const socket = await start("close");
    const left = once(socket, "disconnect");
    for (let n = 0; n < 150; n++) socket.emit("nothing", n);
    assert.equal((await left)[0], "io server disconnect");
    assert.equal(socket.active, false);
  });
});

// What the proxies are told by what they tell; nginx and HAProxy append to the header that a client has made up.
for (const [program, file, port, env] of [
  ["nginx", "nginx.conf", 8080, {}],
  ["haproxy", "haproxy.cfg", 8080, {}],
  ["haproxy", "haproxy-tcp.cfg", 8080, { PROXY_PROTOCOL: "1" }],
  ["haproxy", "haproxy-tcp.cfg", 8081, { PROXY_PROTOCOL: "1" }],
]) {
  describe(`behind ${program}, ${file}, port ${port}`, { skip: skip || missingBalancer(program) }, () => {
    let server, balancer, clients;
    beforeEach(async () => {
      server = await Server.start("limits", { env: { TRUST: "127.0.0.1", ...env } });
      balancer = await Balancer.start(program, file, port, [server, server, server]);
    });
    afterEach(async () => {
      clients?.close();
      await balancer?.stop();
      await server?.stop();
    });

    for (const [label, transport] of TRANSPORTS) {
      test(`the server sees the client, ${label}`, async () => {
        clients = new Clients(balancer, transport);
        const extraHeaders = {
          "X-Forwarded-For": "6.6.6.6",
          "X-Forwarded-Proto": "https",
          Forwarded: "for=6.6.6.6;proto=https",
        };
        const socket = await clients.connect("/", { agent: agent(), extraHeaders });
        assert.deepEqual(await ask(socket, "whoami"), [CLIENT, false]);
      });
    }

    test("each client has limits of its own", async () => {
      clients = new Clients(balancer, TRANSPORTS[1][1]);
      for (let n = 0; n < 5; n++) await clients.connect("/", { agent: agent() });
      const sixth = clients.start("/", { agent: agent() });
      await once(sixth, "connect_error");
      const other = await clients.connect("/", { agent: new http.Agent({ localAddress: "127.0.0.6" }) });
      assert.deepEqual(await ask(other, "whoami"), ["127.0.0.6", false]);
    });
  });
}

describe("a proxy that is trusted to announce its clients", { skip }, () => {
  test("is closed and told of in the log if it does not", async () => {
    const server = await Server.start("limits", { env: { TRUST: "127.0.0.1", PROXY_PROTOCOL: "1" } });
    try {
      const refused = await fetch(`${server.url}/socket.io/?EIO=4&transport=polling`).catch((error) => error);
      assert.ok(refused instanceof Error);
      await server.printed("a connection of a trusted proxy is closed, for it does not begin with the PROXY protocol");
    } finally {
      await server.stop();
    }
  });
});
