// Clusters over Redis in which Gatewire and Node servers are nodes: every operation in both directions, in every mode, and
// connection state recovery across nodes.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { Emitter } from "@socket.io/redis-emitter";
import { createClient } from "redis";
import { Proxy } from "../lib/proxy.js";
import { Redis, missingRedis } from "../lib/redis.js";
import { Server, missingServer, reference } from "../lib/server.js";
import { Clients } from "../lib/transports.js";
import { PATIENCE, collect, once, pause, within } from "../lib/wait.js";

const skip = missingServer("cluster_peer") || missingRedis();
const WEBSOCKET = { transports: ["websocket"] };

const ask = (socket, event, ...args) => socket.timeout(3 * PATIENCE).emitWithAck(event, ...args);

/**
 * Starts a node: `gatewire` is the program under test, `node` its twin on the npm packages, `nest` a NestJS application with
 * the RedisIoAdapter of its documentation.
 */
function start(kind, redis, mode, env = {}) {
  const own = { REDIS_URL: redis.url, REDIS_MODE: mode, NAME: kind, ...env };
  const program = kind === "nest" ? "nest_peer" : "cluster_peer";
  return Server.start(program, { env: own, isReference: reference || kind !== "gatewire" });
}

/** The modes, the other node, and what is particular about it. */
const CLUSTERS = [
  ["classic", "node", {}],
  ["classic", "node", { SPECIFIC_RESPONSES: "1" }],
  ["classic", "nest", {}],
  ["sharded", "node", {}],
  ["streams", "node", {}],
];

/** Repeats until it is so. */
async function until(what, isSo) {
  const end = Date.now() + 3 * PATIENCE;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await pause(20);
  }
}

/** Waits until the node of `socket` knows of `count` others. */
const meets = (socket, count) =>
  until("the nodes to meet", async () => {
    const { error, answers } = await ask(socket, "ask-servers", 0);
    return !error && answers.length === count;
  });

/** Waits until what the node of `from` sends to the room comes to `to`. */
async function heard(from, room, to) {
  let isHeard = false;
  to.on("probe", () => (isHeard = true));
  await until("the room to be heard", async () => {
    await ask(from, "emit", { to: [room], event: "probe" });
    await pause(10);
    return isHeard;
  });
  to.removeAllListeners("probe");
}

for (const [mode, other, env] of CLUSTERS) {
  describe(`a cluster with ${other}, ${[mode, ...Object.keys(env)].join(", ")}`, { skip }, () => {
    let redis, servers, clients;
    before(async () => {
      redis = await Redis.start();
      servers = { gatewire: await start("gatewire", redis, mode), [other]: await start(other, redis, mode, env) };
    });
    after(async () => {
      await Promise.all(Object.values(servers ?? {}).map((server) => server.stop()));
      await redis?.stop();
    });
    beforeEach(() => {
      clients = Object.values(servers).map((server) => new Clients(server, WEBSOCKET));
    });
    afterEach(() => clients.forEach((each) => each.close()));

    for (const [here, there] of [
      ["gatewire", other],
      [other, "gatewire"],
    ]) {
      describe(`from ${here} to ${there}`, () => {
        let near, far;
        beforeEach(async () => {
          [near, far] = await Promise.all(
            [here, there].map(async (kind) => {
              const socket = clients[Object.keys(servers).indexOf(kind)].start("/");
              const [name] = await once(socket, "welcome");
              assert.equal(name, kind);
              return socket;
            }),
          );
          await meets(near, 1);
          await meets(far, 1);
        });

        test("events, with whatever they carry", async () => {
          const values = [1, -1, 1.5, 2 ** 40, "é€😀\u2028", "", true, null, [], {}, { a: [{ b: null }] }, "x".repeat(100_000)];
          const bytes = [Buffer.from([1, 2, 3]), { deep: [Buffer.from([0, 255])] }, Buffer.alloc(0)];
          const [seen, own] = [collect(far, "event"), collect(near, "event")];
          await ask(near, "emit", { event: "event" }, ...values);
          await ask(near, "emit", { event: "event" });
          await ask(near, "emit", { event: "event" }, ...bytes, "end");
          for (const each of [seen, own]) assert.deepEqual(await each.take(3), [values, [], [...bytes, "end"]]);
        });

        test("rooms, exceptions and single sockets", async () => {
          await ask(far, "join", "red");
          await ask(far, "join", "blue");
          await heard(near, "red", far);
          await heard(near, "blue", far);
          await heard(near, far.id, far);
          const seen = collect(far, "event");
          await ask(near, "emit", { to: ["red"], event: "event" }, "red");
          await ask(near, "emit", { to: ["red", "blue", "green"], event: "event" }, "once");
          await ask(near, "emit", { to: ["green"], event: "event" }, "never");
          await ask(near, "emit", { to: ["red"], except: ["blue"], event: "event" }, "never");
          await ask(near, "emit", { except: [far.id], event: "event" }, "never");
          await ask(near, "emit", { to: [far.id], event: "event" }, "own");
          await ask(near, "emit", { event: "event" }, "end");
          const got = (await seen.take(4)).map(([data]) => data);
          assert.deepEqual(got.sort(), ["end", "once", "own", "red"]);
          // Alone, or it may be dropped.
          await ask(near, "emit", { volatile: true, event: "event" }, "volatile");
          assert.deepEqual((await seen.take(5))[4], ["volatile"]);
        });

        test("acknowledgements, and those that do not come", async () => {
          near.on("question", (data, ack) => ack(`near ${data}`));
          far.on("question", (data, ack) => ack({ far: data, bytes: Buffer.from([7]) }));
          const all = await ask(near, "ask", { event: "question" }, "all");
          assert.equal(all.error, undefined);
          const answers = Object.fromEntries(all.answers.map((answer) => [answer.far ?? answer, answer.bytes]));
          assert.deepEqual(answers, { all: Buffer.from([7]), "near all": undefined });
          const one = await ask(near, "ask", { to: [far.id], event: "question" }, "one");
          assert.equal(one.answers[0].far, "one");
          assert.deepEqual(await ask(near, "ask", { to: ["nobody"], event: "question" }, 0), { answers: [] });

          far.removeAllListeners("question");
          const some = await ask(near, "ask", { event: "question", timeout: 500 }, "some");
          assert.deepEqual(some, { error: true, answers: ["near some"] });
        });

        test("the sockets of the cluster", async () => {
          await ask(far, "join", "red");
          await ask(far, "data", { name: "Ada", list: [1, 2] });
          const found = await ask(near, "fetch", {});
          assert.deepEqual(found.map(({ id }) => id).sort(), [near.id, far.id].sort());
          const other = found.find(({ id }) => id === far.id);
          assert.deepEqual(other.rooms.sort(), [far.id, "red"].sort());
          assert.deepEqual(other.data, { name: "Ada", list: [1, 2] });
          assert.match(other.address, /127\.0\.0\.1$/);
          assert.deepEqual((await ask(near, "fetch", { to: ["red"] })).map(({ id }) => id), [far.id]);
          assert.deepEqual(await ask(near, "fetch", { to: ["red"], except: [far.id] }), []);
        });

        test("rooms entered and left from afar", async () => {
          const rooms = async () => (await ask(far, "fetch", { to: [far.id] }))[0].rooms.filter((room) => room !== far.id).sort();
          await ask(near, "sockets-join", { to: [far.id], rooms: ["x", "y"] });
          await until("the rooms", async () => (await rooms()).join() === "x,y");
          await heard(near, "x", far);
          await ask(near, "sockets-leave", { to: ["x"], rooms: ["x"] });
          await until("the room to be left", async () => (await rooms()).join() === "y");
        });

        test("servers among themselves", async () => {
          const [seen, own] = [collect(far, "heard"), collect(near, "heard")];
          await ask(near, "tell-servers", ["a", { b: 1 }]);
          assert.deepEqual(await seen.take(1), [["a", { b: 1 }]]);
          assert.deepEqual(own.seen, []);
          const question = { n: [1] };
          assert.deepEqual(await ask(near, "ask-servers", question), { answers: [{ name: there, question }] });
        });

        test("disconnected from afar", async () => {
          await ask(far, "join", "out");
          const left = once(far, "disconnect");
          await ask(near, "disconnect-sockets", { to: ["out"], close: true });
          assert.equal((await left)[0], "io server disconnect");
          assert.equal(near.connected, true);
        });

        test("namespaces hear nothing of each other", async () => {
          const others = clients[Object.keys(servers).indexOf(there)];
          const other = others.beside(far, "/other");
          await once(other, "welcome");
          const [seen, elsewhere] = [collect(far, "event"), collect(other, "event")];
          await ask(near, "emit", { event: "event" }, 1);
          await seen.take(1);
          assert.deepEqual(elsewhere.seen, []);
        });

        test("5,000 messages, none lost and none twice", async () => {
          const COUNT = 5_000;
          const seen = collect(far, "n");
          for (let n = 0; n < COUNT; n++) {
            const sent = ask(near, "emit", { event: "n" }, n);
            if (n % 200 === 0) await sent;
          }
          const got = (await seen.take(COUNT, 6 * PATIENCE)).map(([n]) => n);
          await heard(near, far.id, far);
          assert.equal(seen.seen.length, COUNT);
          assert.deepEqual(got, [...Array(COUNT).keys()]);
        });
      });
    }

    if (mode === "classic") {
      test("the emitter for Node speaks to both", async () => {
        const sockets = await Promise.all(clients.map((each) => each.connect("/")));
        const [near, far] = sockets;
        await Promise.all(sockets.map((socket) => meets(socket, 1)));
        const client = createClient({ url: redis.url });
        await client.connect();
        try {
          const emitter = new Emitter(client);
          const each = (event) => Promise.all(sockets.map((socket) => once(socket, event)));
          const events = each("event");
          emitter.emit("event", 1, { bytes: Buffer.from([1, 2]) });
          for (const args of await events) assert.deepEqual(args, [1, { bytes: Buffer.from([1, 2]) }]);
          emitter.in([near.id, far.id]).socketsJoin("z");
          await until("the rooms", async () => (await ask(near, "fetch", { to: ["z"] })).length === 2);
          const told = each("heard");
          emitter.serverSideEmit("hear", "a", 2);
          for (const args of await told) assert.deepEqual(args, ["a", 2]);
          emitter.in(far.id).socketsLeave("z");
          await until("the room to be left", async () => (await ask(near, "fetch", { to: ["z"] })).length === 1);
          const gone = once(near, "disconnect");
          emitter.in("z").disconnectSockets(true);
          await gone;
          assert.equal(far.connected, true);
        } finally {
          await client.close();
        }
      });
    }

    test("a node that is killed is done without", async () => {
      const [near] = await Promise.all(clients.map((each) => each.connect("/")));
      const third = await start("gatewire", redis, mode);
      try {
        await meets(near, 2);
      } finally {
        await third.stop("SIGKILL");
      }
      await meets(near, 1);
      const found = await ask(near, "fetch", {});
      assert.equal(found.length, 2);
    });

    test("a Redis that stands still, and one that starts again", async () => {
      const [near, far] = await Promise.all(clients.map((each) => each.connect("/")));
      const seen = collect(near, "event");
      redis.pause();
      await ask(near, "emit", { event: "event" }, "here");
      await seen.take(1);
      redis.resume();
      await meets(near, 1);
      await redis.startAgain();
      await Promise.all([meets(near, 1), meets(far, 1)]);
      await heard(near, far.id, far);
      await heard(far, near.id, near);
    });
  });
}

describe("recovery across nodes", { skip }, () => {
  const options = { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 100 };
  let redis, proxy, open;
  beforeEach(async () => {
    redis = await Redis.start();
    open = [];
  });
  afterEach(async () => {
    for (const close of open) await close();
    proxy?.close();
    await redis?.stop();
  });

  /** Two nodes with a client each, and one on the first whose connection can be cut. */
  async function cluster(first, second) {
    const [from, to] = await Promise.all([first, second].map((kind) => start(kind, redis, "streams", { RECOVERY: "1" })));
    proxy = await Proxy.start(from.port);
    const [near, far, cuttable] = [from, to, proxy].map((server) => new Clients(server, WEBSOCKET));
    open.push(() => [near, far, cuttable].forEach((each) => each.close()), () => Promise.all([from.stop(), to.stop()]));
    const [witness, other] = await Promise.all([near.connect("/"), far.connect("/")]);
    await Promise.all([meets(witness, 1), meets(other, 1)]);
    const socket = cuttable.start("/", options);
    await once(socket, "welcome");
    assert.equal(socket.recovered, false);
    await ask(socket, "join", "red");
    return { from, to, witness, other, socket };
  }

  /** The client is lost, and the first node knows it. */
  async function cut(socket, witness) {
    const lost = once(socket, "disconnect");
    const { id } = socket;
    proxy.cut();
    await lost;
    await until("the loss to be noticed", async () => !(await ask(witness, "fetch", {})).some((found) => found.id === id));
  }

  async function back(socket, port) {
    proxy.target = port;
    const connected = once(socket, "connect", 3 * PATIENCE);
    proxy.mend();
    await connected;
  }

  for (const [first, second] of [
    ["gatewire", "gatewire"],
    ["node", "gatewire"],
    ["gatewire", "node"],
  ]) {
    test(`from ${first} to ${second}`, async () => {
      const { to, witness, other, socket } = await cluster(first, second);
      await ask(socket, "data", { name: "Ada" });
      const { id } = socket;
      const news = collect(socket, "news");
      await ask(witness, "emit", { event: "news" }, "before");
      await news.take(1);
      await cut(socket, witness);
      for (const [n, from] of [witness, other, witness].entries()) {
        await ask(from, "emit", { event: "news" }, `all ${n}`);
        await ask(from, "emit", { to: ["red"], event: "news" }, `red ${n}`, Buffer.from([n]));
        await ask(from, "emit", { to: ["blue"], event: "news" }, "not for it");
        await ask(from, "emit", { except: ["red"], event: "news" }, "not for it");
        await ask(from, "emit", { to: [id], event: "news" }, `own ${n}`);
        // Each is in the stream before the other node sends.
        await heard(from, (from === witness ? other : witness).id, from === witness ? other : witness);
      }
      await back(socket, to.port);
      assert.equal(socket.recovered, true);
      assert.equal(socket.id, id);
      await ask(witness, "emit", { to: ["red"], event: "news" }, "after");
      const got = (await news.take(11)).map(([text, bytes]) => (bytes instanceof Buffer ? `${text} ${bytes[0]}` : text));
      const missed = [0, 1, 2].flatMap((n) => [`all ${n}`, `red ${n} ${n}`, `own ${n}`]);
      assert.deepEqual(got, ["before", ...missed, "after"]);
      const [found] = await ask(other, "fetch", { to: ["red"] });
      assert.equal(found.id, id);
      assert.deepEqual(found.data, { name: "Ada" });
      assert.equal(news.seen.length, 11);
    });
  }

  test("after a restart of Redis", async () => {
    const { to, witness, other, socket } = await cluster("gatewire", "gatewire");
    const news = collect(socket, "news");
    await cut(socket, witness);
    await ask(other, "emit", { event: "news" }, "before");
    await heard(other, witness.id, witness);
    await redis.startAgain();
    await Promise.all([meets(witness, 1), meets(other, 1)]);
    await heard(other, witness.id, witness);
    await ask(other, "emit", { event: "news" }, "after");
    await heard(other, witness.id, witness);
    await back(socket, to.port);
    assert.equal(socket.recovered, true);
    assert.deepEqual((await news.take(2)).map(([text]) => text), ["before", "after"]);
  });
});
