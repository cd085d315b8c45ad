// A server that may use so much memory and no more, under clients that make it keep as much as they can: with the bounds of
// docs/faults.md it lives, and without them the same clients are its end.

import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { io } from "socket.io-client";
import { Cgroup, missingCgroup } from "../lib/cgroup.js";
import { Peer } from "../lib/raw.js";
import { Server, missing, missingServer, reference } from "../lib/server.js";
import { PATIENCE, once, within } from "../lib/wait.js";

const skip =
  missingServer("interop_server") || missing("a server of Gatewire", !reference) || (await missingCgroup());

const MIB = 1 << 20;
/** What the server may use. Its program and the clients below take a third of it. */
const MEMORY = 160 * MIB;
/** What the kernel holds on the server's side for a client that takes nothing: nearly 3 MiB on the loopback device. */
const SOCKET = 3 * MIB;
const SESSIONS = 40;
const BOUNDS = {
  MAX_OUTBOX: String(MIB),
  MAX_OUTBOX_TOTAL: String(16 * MIB),
  MAX_SESSIONS: String(SESSIONS),
};
/** Each of so many asks for so many answers of nearly a megabyte, and takes none. */
const CLIENTS = 36;
const MESSAGES = 12;
const BIG = `42["echo","${"x".repeat(900_000)}"]`;

describe("a server whose memory is bounded from outside", { skip }, () => {
  let group, server, open;
  afterEach(async () => {
    for (const close of open) close();
    await server?.stop();
    await group?.remove();
  });

  async function start(env) {
    open = [];
    group = new Cgroup(MEMORY, CLIENTS * SOCKET);
    server = await Server.start("interop_server", { env, limits: group.enter });
  }

  async function connect() {
    const socket = io(server.url, { forceNew: true, reconnection: false, transports: ["websocket"] });
    open.push(() => socket.disconnect());
    await once(socket, "connect");
    return socket;
  }

  const echo = async (socket) => assert.equal(await socket.timeout(2 * PATIENCE).emitWithAck("echo", 1), 1);

  async function peer() {
    const peer = new Peer(`${server.wsUrl}/socket.io/?EIO=4&transport=websocket`);
    open.push(() => peer.close());
    await Promise.race([peer.opened, peer.ended]);
    return peer;
  }

  async function deaf(messages) {
    const deaf = await peer();
    deaf.socket.send("40");
    deaf.socket._socket.pause();
    for (let n = 0; n < messages; n++) {
      deaf.socket.send(BIG);
      // The witness lives in this process, too, and has its pings to read.
      await setImmediate();
    }
    return deaf;
  }

  test("lives with its bounds, and says to whom it can give no more", async () => {
    await start(BOUNDS);
    const witness = await connect();
    for (let round = 0; round < 3; round++) {
      const flood = await Promise.all(Array.from({ length: CLIENTS }, () => deaf(MESSAGES)));
      await server.printed("the client does not take its messages");
      await echo(witness);
      for (const each of flood) each.socket._socket.resume();
      const ends = await Promise.all(flood.map((each) => each.closed(3 * PATIENCE)));
      assert.ok(ends.some(({ code }) => code === 1013), JSON.stringify(ends));
      await echo(witness);
    }
    // As many as there may be, and one more.
    const crowd = [];
    let refused;
    while (!refused && crowd.length <= SESSIONS) {
      const next = await peer();
      if (next.socket.readyState === 1) crowd.push(next);
      else refused = await next.closed();
    }
    assert.equal(refused?.status, 503);
    await echo(witness);
    crowd.pop().close();
    await within(PATIENCE, "room for another", (async () => {
      while ((await peer()).socket.readyState !== 1);
    })());
    assert.equal(group.kills, 0);
    assert.ok(server.alive);
    console.log(`at most ${Math.round((group.peak ?? 0) / MIB)} of ${group.limit / MIB} MiB in use`);
  });

  test("does not without them: the load is a real one", async () => {
    // A bound that nobody reaches, and nobody is put out for being silent: what one gives back the others would have.
    await start({ MAX_OUTBOX: String(1024 * MIB), PING_TIMEOUT: "60000" });
    // Twice as many: of the others the kernel may hold so much, on both sides, that there is memory for the rest.
    await Promise.all(Array.from({ length: CLIENTS }, () => deaf(2 * MESSAGES)));
    // A signal that does nothing: the kernel is to end it, when it has worked off what came.
    const { signal } = await server.stop("SIGCONT", 6 * PATIENCE);
    assert.equal(signal, "SIGKILL");
    assert.ok(group.kills > 0);
  });
});
