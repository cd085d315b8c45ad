// Three processes of one machine that are a cluster over the sockets of a directory, with no broker between them; and the
// same on one port, which the kernel spreads over them.

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { Server, missingServer, reference } from "../lib/server.js";
import { Clients, TRANSPORTS } from "../lib/transports.js";
import { PATIENCE, collect, once, pause } from "../lib/wait.js";

// There is nothing like it on npm: Node's cluster module needs a primary process.
const skip = (reference && "the npm packages have no such adapter") || missingServer("cluster");
const LONG = 3 * PATIENCE;
const WEBSOCKET = { transports: ["websocket"] };

const ask = (socket, event, ...args) => socket.timeout(LONG).emitWithAck(event, ...args);

/** The processes, and the directory by which they find each other. */
class Machine {
  nodes = [];
  folder = mkdtempSync(join(tmpdir(), "gatewire-cluster-"));

  async start(options = {}) {
    const { env = {}, ...rest } = options;
    const node = await Server.start("cluster", { env: { LOCAL_CLUSTER: this.folder, ...env }, ...rest });
    this.nodes.push(node);
    return node;
  }

  sockets() {
    return readdirSync(join(this.folder, "nodes")).length;
  }

  async stop() {
    await Promise.all(this.nodes.map((node) => node.stop()));
    rmSync(this.folder, { recursive: true });
  }
}

/** Waits until each of the sockets hears of exactly these. */
async function met(sockets) {
  const ids = sockets.map(({ id }) => id).sort();
  const end = Date.now() + LONG;
  for (const socket of sockets) {
    for (;;) {
      const found = (await ask(socket, "who")).sort();
      if (found.join() === ids.join()) break;
      if (Date.now() > end) throw new Error(`the nodes do not meet: ${found} instead of ${ids}`);
      await pause(20);
    }
  }
}

/** Everything that the nodes do for each other, between these clients. */
async function converse(sockets) {
  await met(sockets);
  const heard = sockets.map((socket) => collect(socket, "message"));
  for (const [n, socket] of sockets.entries()) socket.emit("broadcast", `from ${n}`);
  const expected = sockets.map((_, n) => `from ${n}`).sort();
  for (const messages of heard) {
    assert.deepEqual((await messages.take(sockets.length, LONG)).flat().sort(), expected);
  }
  const [first, second, ...others] = sockets;
  for (const socket of [second, ...others.slice(0, 1)]) {
    socket.emit("join", "red");
    await ask(socket, "ping", "joined");
  }
  for (let n = 0; n < 20; n++) first.emit("to-room", { room: "red", message: `red ${n}` });
  first.emit("broadcast", "end");
  for (const [n, messages] of heard.entries()) {
    const isRed = n === 1 || n === 2;
    const rest = [...(isRed ? Array.from({ length: 20 }, (_, m) => `red ${m}`) : []), "end"];
    const got = await messages.take(sockets.length + rest.length, LONG);
    assert.deepEqual(got.slice(sockets.length).flat(), rest);
  }
}

describe("three processes of one machine", { skip }, () => {
  let machine, groups, sockets;
  beforeEach(async () => {
    machine = new Machine();
    await Promise.all([1, 2, 3].map(() => machine.start()));
    groups = machine.nodes.map((node) => new Clients(node, WEBSOCKET));
    sockets = await Promise.all(groups.map((clients) => clients.connect("/")));
  });
  afterEach(async () => {
    groups?.forEach((clients) => clients.close());
    await machine?.stop();
  });

  test("broadcasts, rooms and questions reach all of them", () => converse(sockets));

  test("one that is killed is missed at once, and may come again", async () => {
    await met(sockets);
    await machine.nodes[2].stop("SIGKILL");
    await met(sockets.slice(0, 2));
    const again = await machine.start();
    groups[2] = new Clients(again, WEBSOCKET);
    const three = [...sockets.slice(0, 2), await groups[2].connect("/")];
    await converse(three);
    assert.equal(machine.sockets(), 3, "the socket of the dead process is removed");
  });

  test("one that is shut down takes its socket with it", async () => {
    await met(sockets);
    const { code } = await machine.nodes[1].stop("SIGTERM");
    assert.equal(code, 0);
    assert.equal(machine.sockets(), 2);
    await met([sockets[0], sockets[2]]);
  });
});

for (const [label, transport] of TRANSPORTS) {
  describe(`three processes on one port, ${label}`, { skip }, () => {
    let machine, clients;
    beforeEach(async () => {
      machine = new Machine();
      const env = { REUSE_PORT: "1" };
      const { port } = await machine.start({ env });
      await Promise.all([2, 3].map(() => machine.start({ port, env })));
      clients = new Clients(machine.nodes[0], transport);
    });
    afterEach(async () => {
      clients?.close();
      await machine?.stop();
    });

    test("clients are served without stickiness", async () => {
      const sockets = [];
      for (let n = 0; n < 6; n++) sockets.push(await clients.connect("/"));
      await converse(sockets);
      await Promise.all(
        sockets.map(async (socket, n) => {
          for (let m = 0; m < 10; m++) assert.equal(await ask(socket, "ping", `${n}-${m}`), `pong: ${n}-${m}`);
        }),
      );
      const closed = once(sockets[0], "disconnect");
      sockets[0].disconnect();
      await closed;
      await met(sockets.slice(1));
    });
  });
}
