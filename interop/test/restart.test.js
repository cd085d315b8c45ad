// A server is replaced under load: a new process comes to the same port, the old one is told to end. Nobody is refused, clients
// are told one after the other and come back by themselves, and with their sessions kept in Redis they miss nothing.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once as happens } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { EventSource } from "eventsource";
import { io } from "socket.io-client";
import WebSocket from "ws";
import { Redis, missingRedis } from "../lib/redis.js";
import { Server, missingServer, programOf, reference } from "../lib/server.js";
import { TRANSPORTS } from "../lib/transports.js";
import { PATIENCE, once, pause, within } from "../lib/wait.js";

const skip = (reference && "the npm packages have nothing like it") || missingServer("restart");
const LONG = 6 * PATIENCE;
const SPREAD = 2_000;
const ends = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function start(options) {
  const server = await Server.start("restart", { ...options, env: { DRAIN_SPREAD: String(SPREAD), ...options.env } });
  ends.push(() => server.stop());
  return server;
}

async function until(what, isSo) {
  const end = Date.now() + LONG;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await pause(20);
  }
}

/** An official client with its defaults, and all that it sees. */
class Client {
  news = [];
  losses = [];
  errors = [];
  recovered = [];

  constructor(url, options) {
    this.socket = io(url, { forceNew: true, ...options });
    ends.push(() => this.socket.disconnect());
    this.socket.on("connect", () => this.recovered.push(this.socket.recovered));
    this.socket.on("disconnect", (reason) => this.losses.push({ reason, at: Date.now() }));
    this.socket.on("news", (number) => this.news.push(number));
    this.socket.on("connect_error", (error) => this.errors.push(error.message));
    this.socket.io.on("reconnect_error", (error) => this.errors.push(error.message));
  }
}

/** A hundred of them, over all transports. */
async function crowd(url) {
  const clients = Array.from({ length: 100 }, (_, n) => new Client(url, TRANSPORTS[n % TRANSPORTS.length][1]));
  await until("all to be connected", () => clients.every(({ socket }) => socket.connected));
  return clients;
}

/** A client that has come to the other process than that of `pid`. */
async function atNewProcess(url, pid) {
  for (let tries = 0; tries < 200; tries++) {
    const socket = io(url, { forceNew: true, transports: ["websocket"], reconnection: false });
    ends.push(() => socket.disconnect());
    await once(socket, "connect");
    if ((await socket.emitWithAck("process")) !== pid) return socket;
    socket.disconnect();
  }
  throw new Error("all connections come to the old process");
}

/** Says numbers until it is told to stop; how many. */
function speak(socket) {
  let said = 0;
  let isOver = false;
  const done = (async () => {
    while (!isOver) {
      await socket.timeout(LONG).emitWithAck("say", said++);
      await pause(20);
    }
    return said;
  })();
  return () => ((isOver = true), done);
}

/** Opens connections and asks, one after the other, until it is told to stop; what went wrong. */
function knock(port) {
  const wrong = [];
  let count = 0;
  let isOver = false;
  const done = (async () => {
    while (!isOver) {
      const socket = net.connect(port, "127.0.0.1");
      socket.write("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
      let answer = "";
      socket.setEncoding("utf8").on("data", (text) => (answer += text));
      await within(LONG, "an answer", happens(socket, "close")).catch((error) => wrong.push(error.message));
      if (!answer.startsWith("HTTP/1.1 200")) wrong.push(answer.split("\r\n")[0] || "no answer");
      count++;
      await pause(2);
    }
    assert.ok(count > 0, "nobody knocked");
    return wrong;
  })();
  return () => ((isOver = true), done);
}

/** Every one lost its connection once, and saw nothing worse. */
function sawOnlyTheEnd(clients) {
  for (const [n, { losses, errors }] of clients.entries()) {
    assert.deepEqual(errors, [], `client ${n}`);
    assert.deepEqual(losses.map(({ reason }) => reason), ["transport close"], `client ${n}`);
  }
  const times = clients.map(({ losses }) => losses[0].at);
  const span = Math.max(...times) - Math.min(...times);
  assert.ok(span > SPREAD / 2, `all were told within ${span} ms`);
}

describe("a restart with sessions in Redis", { skip: skip || missingRedis() }, () => {
  test("a hundred official clients come back and miss nothing", async () => {
    const redis = await Redis.start();
    ends.push(() => redis.stop());
    const env = { REDIS_URL: redis.url };
    const old = await start({ env });
    const clients = await crowd(old.url);
    const pid = await clients[0].socket.emitWithAck("process");
    const next = await start({ env, port: old.port });
    const speaker = await atNewProcess(next.url, pid);
    const hush = speak(speaker);
    await until("the news to come to all", () => clients.every(({ news }) => news.length > 3));

    const { code } = await old.end(LONG);
    assert.equal(code, 0);
    await until("all to be back", () => clients.every(({ socket }) => socket.connected));
    const said = await hush();
    const isComplete = ({ news }) => news.at(-1) === said - 1;
    await until("the last news to come to all", () => clients.every(isComplete));
    for (const [n, { news, recovered }] of clients.entries()) {
      assert.deepEqual(recovered, [false, true], `client ${n}`);
      assert.deepEqual(news, Array.from({ length: said - news[0] }, (_, m) => news[0] + m), `client ${n}`);
    }
    sawOnlyTheEnd(clients);
  });
});

describe("a restart on one machine", { skip }, () => {
  test("clients of every kind come back, and nobody is refused", async () => {
    const folder = mkdtempSync(join(tmpdir(), "gatewire-restart-"));
    ends.push(() => rmSync(folder, { recursive: true }));
    const env = { LOCAL_CLUSTER: folder };
    const old = await start({ env });
    const clients = await crowd(old.url);
    const plain = Array.from({ length: 20 }, () => new WebSocket(`${old.wsUrl}/ws`));
    ends.push(() => plain.forEach((socket) => socket.terminate()));
    await Promise.all(plain.map((socket) => once(socket, "open")));
    const closed = plain.map((socket) => new Promise((resolve) => socket.once("close", (code) => resolve(code))));
    const failed = plain.map((socket) => new Promise((resolve) => socket.once("error", resolve)));
    const listeners = Array.from({ length: 20 }, () => {
      const source = new EventSource(`${old.url}/news`);
      const seen = { opened: 0, news: new Set(), source };
      source.addEventListener("open", () => seen.opened++);
      source.addEventListener("news", ({ data }) => seen.news.add(Number(data)));
      ends.push(() => source.close());
      return seen;
    });
    await until("all to listen", () => listeners.every(({ opened }) => opened === 1));
    const leave = knock(old.port);
    const pid = await clients[0].socket.emitWithAck("process");
    const next = await start({ env, port: old.port });
    const speaker = await atNewProcess(next.url, pid);

    const { code } = await old.end(LONG);
    assert.equal(code, 0);
    assert.deepEqual(new Set(await within(LONG, "plain clients to be told", Promise.all(closed))), new Set([1001]));
    assert.equal(await Promise.race([...failed, pause(0)]), undefined, "a plain client had an error");
    await until("all to be back", () => clients.every(({ socket }) => socket.connected));
    await until("all to listen again", () => listeners.every(({ opened }) => opened === 2));
    assert.deepEqual(await leave(), []);
    sawOnlyTheEnd(clients);

    await speaker.emitWithAck("say", 7);
    await until("news to come to all", () => clients.every(({ news }) => news.at(-1) === 7));
    await until("news to come to all who listen", () => listeners.every(({ news }) => news.has(7)));
    const [pids] = [await Promise.all(clients.map(({ socket }) => socket.emitWithAck("process")))];
    assert.ok(!pids.includes(pid), "somebody is with the old process");
  });

  test("an inherited listener is never without a process", async () => {
    const activate = join(dirname(fileURLToPath(import.meta.url)), "../lib/activate.py");
    const supervisor = spawn("python3", [activate, programOf("restart")], {
      env: { ...process.env, DRAIN_SPREAD: "500" },
      stdio: ["pipe", "pipe", "inherit"],
    });
    ends.push(async () => {
      supervisor.stdin.end();
      await happens(supervisor, "exit");
    });
    let output = "";
    supervisor.stdout.setEncoding("utf8").on("data", (text) => (output += text));
    await until("the port", () => output.includes("\n"));
    const port = Number(/port (\d+)/.exec(output)[1]);
    const leave = knock(port);
    supervisor.stdin.write("start\n");
    const clients = await crowd(`http://127.0.0.1:${port}`);
    // The first one ends before the second is there: who comes meanwhile waits in the queue.
    supervisor.stdin.write("end\nstart\n");
    await until("the first to end", () => /exit (-?\d+)/.test(output));
    assert.match(output, /exit 0/);
    await until("all to be back", () => clients.every(({ socket }) => socket.connected));
    assert.deepEqual(await leave(), []);
    for (const { errors } of clients) assert.deepEqual(errors, []);
  });
});
