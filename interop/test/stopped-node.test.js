// A node of a cluster that stands still for longer than its own heartbeat, and goes on: the clients of the others notice
// nothing, questions end with what has come, and afterwards it takes part again, with nothing lost and nothing twice.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, test } from "node:test";
import { Peer } from "../lib/raw.js";
import { Redis, missingRedis } from "../lib/redis.js";
import { Server, missingServer, reference } from "../lib/server.js";
import { Clients } from "../lib/transports.js";
import { PATIENCE, collect, once, pause, within } from "../lib/wait.js";

// Node's timers go on during a stop: its servers put their clients out.
const skip = (reference && "the npm packages do not notice a stop") || missingServer("cluster_peer");
const WEBSOCKET = { transports: ["websocket"] };
const RECONNECTING = { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 100 };

/** A ping of the node is sent so often, and waited for so long; the stop is longer than both. Milliseconds. */
const HEARTBEAT = { PING_INTERVAL: "500", PING_TIMEOUT: "1500" };
const STOP = 3_000;

/** Messages that are sent while the node stands still. */
const COUNT = 50;

const ask = (socket, event, ...args) => socket.timeout(3 * PATIENCE).emitWithAck(event, ...args);

async function until(what, isSo) {
  const end = Date.now() + 3 * PATIENCE;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await pause(20);
  }
}

/** The first argument of each; behind it is the place in the log, where there is one. */
const firsts = (events) => events.map(([first]) => first);

const meets = (socket, count) =>
  until("the nodes to meet", async () => {
    const { error, answers } = await ask(socket, "ask-servers", 0);
    return !error && answers.length === count;
  });

/** A client that waits for as long as it takes: official ones give up a server of which they hear nothing. */
class Patient {
  events = [];

  static async connect(server) {
    const patient = new Patient();
    patient.peer = new Peer(`${server.wsUrl}/socket.io/?EIO=4&transport=websocket`, { pong: true });
    await patient.peer.next();
    patient.peer.send("40");
    patient.id = JSON.parse((await patient.peer.next()).slice(2)).sid;
    patient.peer.socket.on("message", (data) => {
      const [, ack, packet] = /^42(\d*)(\[.*)$/s.exec(data.toString()) ?? [];
      if (!packet) return;
      patient.events.push(JSON.parse(packet));
      if (ack) patient.peer.send(`43${ack}["patient"]`);
    });
    return patient;
  }

  /** The arguments of each event of that name. */
  seen(event) {
    return this.events.filter(([name]) => name === event).map(([, ...args]) => args);
  }
}

for (const mode of ["classic", "sharded", "streams"]) {
  describe(`a node that stands still, ${mode}`, { skip: skip || missingRedis() }, () => {
    const open = [];
    afterEach(async () => {
      for (const close of open.splice(0).reverse()) await close();
    });

    async function start(name, redis) {
      const env = { REDIS_URL: redis.url, REDIS_MODE: mode, NAME: name, ...HEARTBEAT };
      // Only streams have a log by which clients get their sessions back from any node.
      if (mode === "streams") env.RECOVERY = "1";
      const server = await Server.start("cluster_peer", { env });
      open.push(() => server.stop());
      return server;
    }

    async function connect(server, options) {
      const clients = new Clients(server, WEBSOCKET);
      open.push(() => clients.close());
      return clients.connect("/", options);
    }

    test("is done without, and takes part again", async () => {
      const redis = await Redis.start();
      open.push(() => redis.stop());
      const [running, stopped] = [await start("running", redis), await start("stopped", redis)];
      const [near, official] = [await connect(running), await connect(stopped, RECONNECTING)];
      const patient = await Patient.connect(stopped);
      open.push(() => patient.peer.close());
      await Promise.all([meets(near, 1), meets(official, 1)]);
      near.on("question", (_, ack) => ack("near"));
      official.on("question", (_, ack) => ack("official"));
      const news = [near, official].map((socket) => collect(socket, "news"));
      const lost = collect(near, "disconnect");
      const gone = collect(official, "disconnect");
      await ask(near, "emit", { event: "news" }, "before");
      await Promise.all(news.map((each) => each.take(1)));

      stopped.signal("SIGSTOP");
      const since = Date.now();
      for (let n = 0; n < COUNT; n++) {
        await within(PATIENCE, "a client of the other node to be served", ask(near, "emit", { event: "news" }, n));
      }
      await ask(near, "sockets-join", { to: [patient.id], rooms: ["late"] });
      assert.equal((await news[0].take(COUNT + 1)).length, COUNT + 1, "the clients of the other node get everything");
      const [found, answers, servers] = await Promise.all([
        ask(near, "fetch", { timeout: 700 }),
        ask(near, "ask", { event: "question", timeout: 700 }, "during"),
        ask(near, "ask-servers", "during"),
      ]);
      assert.deepEqual(found.map(({ id }) => id), [near.id]);
      assert.deepEqual(answers, { error: true, answers: ["near"] });
      assert.deepEqual(servers, { error: true, answers: [] });
      await pause(Math.max(0, since + STOP - Date.now()));
      stopped.signal("SIGCONT");

      await meets(near, 1);
      await until("everything to come", () => patient.seen("news").length > COUNT);
      // The official client had no ping, gave the server up, and comes back.
      await until("the client to come back", () => gone.seen.length > 0 && official.connected);
      await ask(near, "emit", { event: "news" }, "after");
      await until("the end", () => patient.seen("news").length > COUNT + 1 && news[1].seen.at(-1)?.[0] === "after");
      const all = ["before", ...Array(COUNT).keys(), "after"];
      assert.deepEqual(firsts(patient.seen("news")), all);
      assert.deepEqual(firsts(news[0].seen), all);
      const seen = firsts(news[1].seen);
      if (mode === "streams") {
        assert.equal(official.recovered, true);
        assert.deepEqual(seen, all);
      } else {
        // What its connection still took is a part of it, and nothing came twice.
        assert.deepEqual(seen, all.filter((each) => seen.includes(each)));
      }

      await until("only those to be there that are", async () => {
        const ids = (await ask(near, "fetch", {})).map(({ id }) => id).sort();
        return ids.join() === [near.id, official.id, patient.id].sort().join();
      });
      const late = await ask(near, "fetch", { to: ["late"] });
      assert.deepEqual(late.map(({ id }) => id), [patient.id]);
      const after = await ask(near, "ask", { event: "question" }, "after");
      assert.deepEqual(after.answers.sort(), ["near", "official", "patient"]);
      assert.deepEqual(await ask(near, "ask-servers", 0), { answers: [{ name: "stopped", question: 0 }] });
      assert.deepEqual(await ask(official, "ask-servers", 0), { answers: [{ name: "running", question: 0 }] });
      assert.equal(patient.peer.socket.readyState, 1, "who answers after the stop is kept");
      assert.deepEqual(lost.seen, []);
    });
  });
}

describe("a process of a machine that stands still", { skip: skip || missingServer("cluster") }, () => {
  let folder, nodes, groups;
  afterEach(async () => {
    groups?.forEach((clients) => clients.close());
    await Promise.all((nodes ?? []).map((node) => node.stop()));
    if (folder) rmSync(folder, { recursive: true });
  });

  test("is done without, and takes part again", async () => {
    folder = mkdtempSync(join(tmpdir(), "gatewire-cluster-"));
    const start = () => Server.start("cluster", { env: { LOCAL_CLUSTER: folder } });
    nodes = [await start(), await start()];
    groups = nodes.map((node) => new Clients(node, WEBSOCKET));
    const [near, far] = await Promise.all(groups.map((clients) => clients.connect("/")));
    const who = async () => (await ask(near, "who")).sort().join();
    await until("the nodes to meet", async () => (await who()) === [near.id, far.id].sort().join());
    const heard = [near, far].map((socket) => collect(socket, "message"));
    nodes[1].signal("SIGSTOP");
    for (let n = 0; n < COUNT; n++) near.emit("broadcast", String(n));
    await heard[0].take(COUNT);
    assert.equal(await who(), near.id, "what has come when the time is over");
    nodes[1].signal("SIGCONT");
    await until("the nodes to meet", async () => (await who()) === [near.id, far.id].sort().join());
    const answered = once(near, "message");
    far.emit("broadcast", "after");
    await answered;
    const all = [...Array(COUNT).keys()].map(String);
    for (const each of heard) assert.deepEqual((await each.take(COUNT + 1)).flat(), [...all, "after"]);
    assert.equal(far.connected, true);
  });
});
