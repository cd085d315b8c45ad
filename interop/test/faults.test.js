// What the machine does to a server: no file descriptors, little memory, a port that is taken, a process that is stopped.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import net from "node:net";
import { afterEach, describe, test } from "node:test";
import { io } from "socket.io-client";
import { Peer } from "../lib/raw.js";
import { Server, missing, missingServer, reference } from "../lib/server.js";
import { collect, once, pause } from "../lib/wait.js";

const skip =
  missingServer("interop_server") ||
  missing("a server of Gatewire", !reference) ||
  missing("Linux, whose /proc tells of memory", process.platform === "linux");

describe("faults", { skip }, () => {
  const open = [];
  let server;
  afterEach(async () => {
    for (const end of open.splice(0)) end();
    server?.signal("SIGCONT");
    await server?.stop();
  });

  async function start(options) {
    server = await Server.start("interop_server", options);
  }

  async function connect(options) {
    const socket = io(server.url, { forceNew: true, reconnection: false, transports: ["websocket"], ...options });
    open.push(() => socket.disconnect());
    await once(socket, "connect");
    return socket;
  }

  async function echoes(socket) {
    assert.equal(await socket.timeout(5_000).emitWithAck("echo", "still there"), "still there");
  }

  function memory(key) {
    const status = readFileSync(`/proc/${server.pid}/status`, "utf8");
    return Number(new RegExp(`${key}:\\s+(\\d+) kB`).exec(status)[1]);
  }

  test("file descriptors that are used up are waited for", async () => {
    await start({ limits: "ulimit -n 48" });
    const before = await connect();
    const holders = Array.from({ length: 60 }, () => net.connect(server.port, "127.0.0.1"));
    open.push(() => holders.forEach((holder) => holder.destroy()));
    holders.forEach((holder) => holder.on("error", () => {}));
    await server.printed("no file descriptor is left");
    await echoes(before);
    await pause(500);
    assert.equal(server.output.split("no file descriptor is left").length, 2, "one line for all failures");
    for (const holder of holders) holder.destroy();
    await echoes(await connect());
    await server.printed("new connections are accepted again");
  });

  test("a port that is taken is told with its address", async () => {
    await start();
    const second = Server.start("interop_server", { port: server.port });
    await assert.rejects(second, new RegExp(`127\\.0\\.0\\.1:${server.port}.*in use`, "s"));
    await echoes(await connect());
  });

  test("a flood stays within the bounds when memory is short", async () => {
    const peers = 30;
    const total = 32 << 20;
    await start();
    const needed = memory("VmPeak") + 400 * 1024;
    await server.stop();
    const env = { MAX_OUTBOX: String(4 << 20), MAX_OUTBOX_TOTAL: String(total) };
    await start({ env, limits: `ulimit -v ${needed}` });
    const base = memory("VmHWM") * 1024;
    const big = `42["echo","${"x".repeat(900_000)}"]`;
    const flood = Array.from({ length: peers }, () => new Peer(`${server.wsUrl}/socket.io/?EIO=4&transport=websocket`));
    open.push(() => flood.forEach((peer) => peer.socket.terminate()));
    for (const peer of flood) {
      await peer.opened;
      peer.socket.send("40");
      peer.socket._socket.pause();
      for (let count = 0; count < 12; count++) peer.socket.send(big);
    }
    await server.printed("the client does not take its messages");
    await echoes(await connect());
    for (const peer of flood) peer.socket._socket.resume();
    const ends = await Promise.all(flood.map((peer) => peer.closed(10_000)));
    assert.ok(ends.some((end) => end.code === 1013), JSON.stringify(ends));
    // What waits, what each is just sending, the first 64 KiB of each, and what the allocator keeps of all that.
    const bound = 2 * (total + peers * (2 << 20));
    assert.ok(memory("VmHWM") * 1024 - base < bound, `${memory("VmHWM")} kB, ${base} bytes before`);
    await echoes(await connect());
  });

  for (const transport of ["websocket", "polling"]) {
    test(`a process that stood still loses no client over ${transport}`, async () => {
      await start();
      const sockets = await Promise.all(Array.from({ length: 20 }, () => connect({ transports: [transport] })));
      const left = sockets.map((socket) => collect(socket, "disconnect"));
      // Stopped when each has its ping, before any pong has left: the server's ping timeout (1 s) passes while it stands
      // still, those of the clients (2 s) do not.
      const pongs = [];
      const pings = sockets.map((socket) => {
        const { transport } = socket.io.engine;
        const send = transport.send.bind(transport);
        transport.send = (packets) => {
          pongs.push(() => send(packets));
          delete transport.send;
        };
        return once(socket.io.engine, "ping");
      });
      await Promise.all(pings);
      server.signal("SIGSTOP");
      for (const pong of pongs) pong();
      await pause(1_200);
      server.signal("SIGCONT");
      await Promise.all(sockets.map(echoes));
      await pause(1_200);
      await Promise.all(sockets.map(echoes));
      assert.deepEqual(
        left.map(({ seen }) => seen),
        sockets.map(() => []),
      );
    });
  }
});
