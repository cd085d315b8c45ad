// Three nodes behind a balancer, as `examples/cluster` configures it: with sessions that the nodes share and without
// stickiness, and the other way round. Nodes come and go meanwhile.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { Balancer, missingBalancer } from "../lib/balancer.js";
import { Redis, missingRedis } from "../lib/redis.js";
import { Server, missingServer, reference } from "../lib/server.js";
import { Clients, TRANSPORTS } from "../lib/transports.js";
import { PATIENCE, collect, pause, within } from "../lib/wait.js";

// There is nothing like it on npm.
const none = reference && "the npm packages share no sessions";
const skip = none || missingServer("cluster") || missingRedis();
const LONG = 3 * PATIENCE;

const ask = (socket, event, ...args) => socket.timeout(LONG).emitWithAck(event, ...args);

/** What is common to all: the messages of several clients, which all nodes carry to each other. */
function conversation(clientsOf) {
  test("answers, rooms and broadcasts come from any node to any client, in order", async () => {
    const clients = clientsOf();
    const sockets = [];
    for (let n = 0; n < 4; n++) sockets.push(await clients.connect("/"));
    const heard = sockets.map((socket) => collect(socket, "message"));
    await Promise.all(
      sockets.map(async (socket, n) => {
        for (let m = 0; m < 10; m++) assert.equal(await ask(socket, "ping", `${n}-${m}`), `pong: ${n}-${m}`);
      }),
    );
    const ids = sockets.map(({ id }) => id);
    const all = await ask(sockets[0], "who");
    assert.deepEqual(ids.filter((id) => !all.includes(id)), []);

    for (const socket of sockets) socket.emit("join", "red");
    await Promise.all(sockets.map((socket) => ask(socket, "ping", "joined")));
    for (let m = 0; m < 20; m++) sockets[0].emit("to-room", { room: "red", message: `red ${m}` });
    const red = Array.from({ length: 20 }, (_, m) => [`red ${m}`]);
    for (const messages of heard) assert.deepEqual(await messages.take(20, LONG), red);

    const big = "x".repeat(300_000);
    sockets[1].emit("broadcast", big);
    for (const messages of heard) assert.equal((await messages.take(21, LONG))[20][0], big);
  });
}

/** Three nodes, the Redis between them, and the balancer in front; each test has its own, for it may kill them. */
class Site {
  static async start(balancer, env) {
    const site = new Site();
    site.redis = await Redis.start();
    const shared = { REDIS_URL: site.redis.url, REDIS_MODE: "sharded", ...env };
    site.nodes = await Promise.all([1, 2, 3].map(() => Server.start("cluster", { env: shared })));
    site.balancer = await Balancer.start(...balancer, site.nodes);
    await met(site.nodes);
    return site;
  }

  async stop() {
    await this.balancer?.stop();
    await Promise.all((this.nodes ?? []).map((node) => node.stop()));
    await this.redis?.stop();
  }
}

const AGAIN = { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 200 };

/** Six clients that connect again. */
function connectSix(clients) {
  return Promise.all(Array.from({ length: 6 }, () => clients.connect("/", AGAIN)));
}

for (const balancer of [
  ["nginx", "nginx.conf", 8080],
  ["haproxy", "haproxy.cfg", 8080],
]) {
  for (const [label, transport] of TRANSPORTS) {
    const title = `shared sessions behind ${balancer[0]}, round robin, ${label}`;
    describe(title, { skip: skip || missingBalancer(balancer[0]) }, () => {
      let site, clients;
      beforeEach(async () => {
        site = await Site.start(balancer, { SHARE_SESSIONS: "1" });
        clients = new Clients(site.balancer, transport);
      });
      afterEach(async () => {
        clients?.close();
        await site?.stop();
      });
      conversation(() => clients);

      test("clients of a node that is killed connect again, the others stay or do as well", async () => {
        const sockets = await connectSix(clients);
        const lost = new Promise((resolve) => sockets.forEach((socket) => socket.once("disconnect", resolve)));
        await site.nodes[0].stop("SIGKILL");
        await within(LONG, "a client to lose its connection", lost);
        await Promise.all(sockets.map(answered));
      });

      test("clients live through a restart of Redis, or connect again", async () => {
        const sockets = await connectSix(clients);
        await site.redis.startAgain();
        await Promise.all(sockets.map(answered));
      });

      test("a node that is shut down ends in order, and its clients connect again", async () => {
        const sockets = await connectSix(clients);
        const { code } = await site.nodes[0].stop("SIGTERM");
        assert.equal(code, 0);
        await Promise.all(sockets.map(answered));
      });
    });
  }
}

for (const [balancer, options] of [
  [["nginx", "nginx-sticky.conf", 8080], {}],
  // The cookie is kept by the client, as a browser does.
  [["haproxy", "haproxy.cfg", 8081], { withCredentials: true }],
]) {
  for (const [label, transport] of TRANSPORTS) {
    const title = `sticky behind ${balancer[0]}, nothing shared, ${label}`;
    describe(title, { skip: skip || missingBalancer(balancer[0]) }, () => {
      let site, clients;
      beforeEach(async () => {
        site = await Site.start(balancer, {});
        clients = new Clients(site.balancer, { ...transport, ...options });
      });
      afterEach(async () => {
        clients?.close();
        await site?.stop();
      });
      conversation(() => clients);

      test("clients of nodes that are killed come to another one", async () => {
        const sockets = await connectSix(clients);
        for (const node of site.nodes.slice(0, 2)) await node.stop("SIGKILL");
        await Promise.all(sockets.map(answered));
      });
    });
  }
}

describe("round robin without shared sessions", { skip: skip || missingBalancer("nginx") }, () => {
  let nodes, balancer;
  before(async () => {
    nodes = await Promise.all([1, 2, 3].map(() => Server.start("cluster")));
    balancer = await Balancer.start("nginx", "nginx.conf", 8080, nodes);
  });
  after(async () => {
    await balancer?.stop();
    await Promise.all((nodes ?? []).map((node) => node.stop()));
  });

  test("clients of WebSocket alone need nothing more", async () => {
    const clients = new Clients(balancer, { transports: ["websocket"] });
    for (let n = 0; n < 6; n++) {
      const socket = await clients.connect("/");
      assert.equal(await ask(socket, "ping", "hi"), "pong: hi");
    }
    clients.close();
  });

  test("polling clients do not get in", async () => {
    const clients = new Clients(balancer, { transports: ["polling"] });
    const socket = clients.start("/");
    // On its way in, or soon after: some request comes to the wrong node.
    const failed = new Promise((resolve) => ["connect_error", "disconnect"].forEach((event) => socket.once(event, resolve)));
    await within(LONG, "a refusal", failed);
    clients.close();
  });
});

/** Waits until every node knows of the sockets of every other one. */
async function met(nodes) {
  const groups = nodes.map((node) => new Clients(node, { transports: ["websocket"] }));
  const sockets = await Promise.all(groups.map((clients) => clients.connect("/")));
  const end = Date.now() + LONG;
  for (const socket of sockets) {
    for (;;) {
      const ids = await ask(socket, "who");
      if (sockets.every(({ id }) => ids.includes(id))) break;
      if (Date.now() > end) throw new Error("the nodes do not meet");
      await pause(50);
    }
  }
  for (const clients of groups) clients.close();
}

/** Asks until there is an answer: the connection may end and be made again meanwhile. */
async function answered(socket) {
  const end = Date.now() + 4 * PATIENCE;
  for (;;) {
    try {
      assert.equal(await socket.timeout(1_000).emitWithAck("ping", "again"), "pong: again");
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}
