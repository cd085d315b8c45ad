// What it costs that nodes share their sessions: the CPU of the node with the session, of the node that relays and of Redis,
// for an echo by acknowledgement, direct and relayed. Run it from the repository's root, after
// `cargo build --release -p gatewire-examples --example cluster` and `npm ci` in interop/.

import { spawn, execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const WebSocket = createRequire(new URL("../interop/package.json", import.meta.url))("ws");
const program = new URL("../target/release/examples/cluster", import.meta.url).pathname;
const TICKS = Number(execFileSync("getconf", ["CLK_TCK"]));
const REDIS_PORT = 6390;
const children = [];

/** Starts a program and waits until it has printed `sign`. */
function start(command, args, env, sign) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  return new Promise((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`${command} ended with ${code}`)));
    child.stdout.setEncoding("utf8").on("data", (text) => {
      const found = sign.exec(text);
      if (found) resolve({ pid: child.pid, url: found[1] });
    });
  });
}

const redisArgs = ["--port", REDIS_PORT, "--bind", "127.0.0.1", "--save", ""].map(String);
const redis = await start("redis-server", redisArgs, {}, /Ready to accept connections/);
const env = {
  PORT: "0",
  REDIS_URL: `redis://127.0.0.1:${REDIS_PORT}`,
  REDIS_MODE: "sharded",
  SHARE_SESSIONS: "1",
  RUST_LOG: "error",
};
const [owner, relay] = [await node(), await node()];

function node() {
  return start(program, [], env, /listening on (http:\S+)/);
}

/** CPU seconds of each process until now. */
function cpu() {
  return [owner, relay, redis].map(({ pid }) => {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS;
  });
}

async function open() {
  const packet = await (await fetch(`${owner.url}/socket.io/?EIO=4&transport=polling`)).text();
  return JSON.parse(packet.slice(1)).sid;
}

/** A session of the owner that has gone over to a WebSocket by way of `via`. */
async function upgraded(via) {
  const socket = new WebSocket(`${via.url}/socket.io/?EIO=4&transport=websocket&sid=${await open()}`);
  const answered = (start) =>
    new Promise((resolve) => socket.on("message", (data) => String(data).startsWith(start) && resolve()));
  socket.on("message", (data) => String(data) === "2" && socket.send("3"));
  await new Promise((resolve) => socket.once("open", resolve));
  for (const [packet, answer] of [["2probe", "3probe"], ["5"], ["40", "40"]]) {
    const coming = answer && answered(answer);
    socket.send(packet);
    await coming;
  }
  return socket;
}

function tell(label, count, before, waits) {
  waits.sort((a, b) => a - b);
  const [ofOwner, ofRelay, ofRedis] = cpu().map((after, n) => (((after - before[n]) / count) * 1e6).toFixed(1));
  const p = (part) => waits[Math.floor(waits.length * part)].toFixed(2);
  console.log(`${label} | ${ofOwner} | ${ofRelay} | ${ofRedis} | ${p(0.5)} | ${p(0.99)}`);
}

async function websockets(label, via, each, inFlight) {
  const sockets = [];
  for (let n = 0; n < 10; n++) sockets.push(await upgraded(via));
  const waits = [];
  const before = cpu();
  await Promise.all(
    sockets.map((socket) => {
      const sent = [];
      const send = () => {
        socket.send(`42${sent.length}["ping","${"x".repeat(32)}"]`);
        sent.push(performance.now());
      };
      let got = 0;
      return new Promise((resolve) => {
        socket.on("message", (data) => {
          if (!String(data).startsWith("43")) return;
          waits.push(performance.now() - sent[got++]);
          if (sent.length < each) send();
          if (got === each) resolve();
        });
        for (let n = 0; n < inFlight; n++) send();
      });
    }),
  );
  tell(label, waits.length, before, waits);
  for (const socket of sockets) socket.terminate();
}

async function polling(label, via, rounds) {
  const url = `${via.url}/socket.io/?EIO=4&transport=polling&sid=${await open()}`;
  const say = async (body) => {
    await (await fetch(url, { method: "POST", body })).text();
    await (await fetch(url)).text();
  };
  await say("40");
  const waits = [];
  const before = cpu();
  for (let n = 0; n < rounds; n++) {
    const begun = performance.now();
    await say(`42${n}["ping","hello"]`);
    waits.push(performance.now() - begun);
  }
  tell(label, rounds, before, waits);
}

// Until the nodes hear each other.
for (let n = 0; n < 100; n++) {
  const { status } = await fetch(`${relay.url}/socket.io/?EIO=4&transport=polling&sid=${await open()}`, {
    method: "POST",
    body: "40",
  });
  if (status === 200) break;
}
console.log("echo | session's node, µs | relay, µs | Redis, µs | p50, ms | p99, ms");
for (const [kind, via] of [["direct", owner], ["relayed", relay]]) {
  await websockets(`WebSocket, ${kind}, 1 in flight`, via, 3_000, 1);
  await websockets(`WebSocket, ${kind}, 32 in flight`, via, 8_000, 32);
  await polling(`POST and GET, ${kind}`, via, 3_000);
}
for (const child of children) child.kill("SIGKILL");
process.exit(0);
