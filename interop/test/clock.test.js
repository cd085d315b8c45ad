// A wall clock that jumps by an hour, forwards and back, under servers with clients: docs/faults.md says what goes by it.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { Clock, missingClock } from "../lib/clock.js";
import { Proxy } from "../lib/proxy.js";
import { Peer } from "../lib/raw.js";
import { Server, missingServer, reference } from "../lib/server.js";
import { Clients } from "../lib/transports.js";
import { PATIENCE, collect, once, pause } from "../lib/wait.js";

const skip =
  (reference && "it is about Gatewire's clocks") ||
  missingServer("interop_server") ||
  missingServer("auth_jwt") ||
  missingClock();

const HOUR = 3_600;
/** The heartbeats of `interop_server`, interval and timeout together, in milliseconds. */
const HEARTBEAT = 2_000;

const ask = (socket, event, ...args) => socket.timeout(PATIENCE).emitWithAck(event, ...args);

describe("a wall clock that jumps", { skip }, () => {
  let clock, server, open;
  beforeEach(() => {
    clock = new Clock();
    open = [];
  });
  afterEach(async () => {
    for (const close of open) close();
    await server?.stop();
    clock.remove();
  });

  async function start(name, env = {}) {
    server = await Server.start(name, { env: { ...clock.env, ...env } });
  }

  function clients(to, transport) {
    const clients = new Clients(to, { transports: [transport] });
    open.push(() => clients.close());
    return clients;
  }

  /** Sets the clock; `now` asks the server what it is, in milliseconds since 1970. */
  async function set(seconds, now) {
    clock.set(seconds);
    const ahead = ((await now()) - Date.now()) / 1_000;
    assert.ok(Math.abs(ahead - seconds) < 60, `the clock of the server is ${ahead} s ahead instead of ${seconds} s`);
  }

  /** When a new client comes in. */
  async function handshake() {
    const socket = await clients(server, "websocket").connect("/");
    const issued = await ask(socket, "issued");
    socket.disconnect();
    return issued;
  }

  test("puts nobody out, and keeps nobody in", async () => {
    await start("interop_server");
    const sockets = [];
    for (const transport of ["websocket", "polling"]) {
      for (let n = 0; n < 10; n++) sockets.push(await clients(server, transport).connect("/"));
    }
    const left = sockets.map((socket) => collect(socket, "disconnect"));
    for (const seconds of [HOUR, 0, -HOUR, HOUR]) {
      const mute = new Peer(`${server.wsUrl}/socket.io/?EIO=4&transport=websocket`);
      await mute.opened;
      mute.send("40");
      await set(seconds, handshake);
      const [end] = await Promise.all([mute.closed(), pause(HEARTBEAT + 500)]);
      assert.ok(end.code, "who does not answer is put out by a clock that goes on");
      const echoes = await Promise.all(sockets.map((socket) => ask(socket, "echo", seconds)));
      assert.deepEqual(echoes, sockets.map(() => seconds));
    }
    assert.deepEqual(left.flatMap(({ seen }) => seen), []);
  });

  test("changes nothing about how long a lost session is kept", async () => {
    await start("interop_server", { RECOVERY: "1" });
    const proxy = await Proxy.start(server.port);
    open.push(() => proxy.close());
    const witness = await clients(server, "websocket").connect("/");
    const reconnecting = { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 100 };
    const socket = await clients(proxy, "websocket").connect("/", reconnecting);
    const news = collect(socket, "news");
    await ask(witness, "everyone", "before");
    await news.take(1);
    for (const seconds of [HOUR, -HOUR]) {
      const lost = Promise.all([once(witness, "left"), once(socket, "disconnect")]);
      proxy.cut();
      await lost;
      await set(seconds, handshake);
      await ask(witness, "everyone", seconds);
      const back = once(socket, "connect");
      proxy.mend();
      await back;
      assert.equal(socket.recovered, true);
    }
    assert.deepEqual((await news.take(3)).map(([text]) => text), ["before", HOUR, -HOUR]);
  });

  test("counts for tokens when they are shown, and not for those that are in", async () => {
    await start("auth_jwt");
    const token = async (seconds) => (await fetch(`${server.url}/token?name=ada&seconds=${seconds}`)).text();
    const now = async () => JSON.parse(atob((await token(0)).split(".")[1])).exp * 1_000;
    const show = (token) => clients(server, "websocket").start("/", { auth: { token } });
    const long = await token(600);
    const inside = show(long);
    await once(inside, "connect");
    const left = collect(inside, "disconnect");

    await set(HOUR, now);
    const [refusal] = await once(show(long), "connect_error");
    assert.match(refusal.message, /Invalid token/);
    assert.match(await ask(inside, "whoami"), /^ada/);

    const short = show(await token(2));
    await once(short, "connect");
    const out = Promise.all([once(short, "exception"), once(short, "disconnect")]);
    // What was reckoned when the client came in stays, however far away its time is now.
    await set(0, now);
    const [[exception]] = await out;
    assert.match(JSON.stringify(exception), /Token expired/);
    await once(show(long), "connect");
    assert.deepEqual(left.seen, []);
  });
});
