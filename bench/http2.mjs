// What a WebSocket over HTTP/2 costs beside one over HTTP/1.1, both over TLS: CPU of the server for each delivery of a
// broadcast, and its memory for each connection. Run it from the repository's root, after
// `cargo build --release -p gatewire-examples --example bench_gateway` and `npm ci` in interop/.

import { spawn, execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect } from "node:http2";
import { createRequire } from "node:module";

const WebSocket = createRequire(new URL("../interop/package.json", import.meta.url))("ws");
const program = new URL("../target/release/examples/bench_gateway", import.meta.url).pathname;
const TICKS = Number(execFileSync("getconf", ["CLK_TCK"]));
const SOCKETS = 1000;
const BROADCASTS = 300;
// Its certificate is made up at each start.
const TRUST = { rejectUnauthorized: false };

/** A server of its own for each row, so that none has the memory of another. */
async function serve() {
  const env = { ...process.env, PORT: "0", ADAPTER: "ws", TLS: "1", WORKERS: "1", RUST_LOG: "error" };
  const child = spawn(program, [], { env, stdio: ["ignore", "pipe", "inherit"] });
  const port = await new Promise((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`bench_gateway ended with ${code}`)));
    child.stdout.setEncoding("utf8").on("data", (text) => {
      const found = /listening on https:\S+:(\d+)/.exec(text);
      if (found) resolve(found[1]);
    });
  });
  const proc = (file) => readFileSync(`/proc/${child.pid}/${file}`, "utf8");
  return {
    url: `127.0.0.1:${port}`,
    /** CPU seconds until now. */
    cpu() {
      const fields = proc("stat").split(") ")[1].split(" ");
      return (Number(fields[11]) + Number(fields[12])) / TICKS;
    },
    /** Bytes that are resident. */
    memory: () => Number(/VmRSS:\s+(\d+)/.exec(proc("status"))[1]) * 1024,
    stop: () => child.kill(),
  };
}

/** A text message as a client sends it, shorter than 126 bytes. The mask is zero: it need not hide anything here. */
function frame(text) {
  const payload = Buffer.from(text);
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}

/** How many messages have come whole; they are known by their end, which is in no other place. */
function counter(heard) {
  let kept = "";
  return (chunk) => {
    kept += chunk.toString("latin1");
    const parts = kept.split("}");
    kept = parts.pop();
    for (let n = 0; n < parts.length; n++) heard();
  };
}

/** Opens a socket over HTTP/1.1 with a connection of its own. */
async function overHttp1(url, heard) {
  const socket = new WebSocket(`wss://${url}/`, { ...TRUST, perMessageDeflate: false });
  socket.on("message", heard);
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  return { send: (text) => socket.send(text), close: () => socket.terminate() };
}

/** A connection of HTTP/2 that takes extended CONNECT (RFC 8441). */
async function session(url) {
  const http2 = connect(`https://${url}`, TRUST);
  await new Promise((resolve, reject) => http2.once("remoteSettings", resolve).once("error", reject));
  return http2;
}

/** Opens a socket on a connection of HTTP/2. */
async function overHttp2(http2, heard) {
  const stream = http2.request({
    ":method": "CONNECT",
    ":protocol": "websocket",
    ":path": "/",
    "sec-websocket-version": "13",
  });
  const status = await new Promise((resolve, reject) =>
    stream.once("response", (headers) => resolve(headers[":status"])).once("error", reject),
  );
  if (status !== 200) throw new Error(`the handshake was answered with ${status}`);
  stream.on("data", counter(heard));
  return { send: (text) => stream.write(frame(text)), close: () => http2.destroy() };
}

/** Opens all sockets and sends the broadcasts. `each` sockets share a connection of HTTP/2; with 0 it is HTTP/1.1. */
async function measure(label, each) {
  const server = await serve();
  let count = 0;
  let due = 0;
  let done;
  const heard = () => {
    count += 1;
    if (count === due) done();
  };
  const sockets = [];
  const connections = each ? SOCKETS / each : SOCKETS;
  let memory;
  for (let n = 0; n < connections; n++) {
    // What the first clients make the server allocate is no client's.
    if (n === connections / 10) memory = server.memory();
    const http2 = each && (await session(server.url));
    for (let m = 0; m < (each || 1); m++) {
      sockets.push(await (each ? overHttp2(http2, heard) : overHttp1(server.url, heard)));
    }
  }
  await new Promise((resolve) => setTimeout(resolve, 500));
  const resident = (server.memory() - memory) / (connections * 0.9);
  const broadcast = async (text) => {
    const all = new Promise((resolve) => (done = resolve));
    due = count + SOCKETS;
    sockets[0].send(JSON.stringify({ event: "broadcast", data: text }));
    await all;
  };
  for (let n = 0; n < 20; n++) await broadcast("to warm up");
  const before = server.cpu();
  for (let n = 0; n < BROADCASTS; n++) await broadcast(`message ${n}`);
  const perDelivery = ((server.cpu() - before) / (BROADCASTS * SOCKETS)) * 1e6;
  console.log(`${label} | ${perDelivery.toFixed(1)} | ${Math.round(resident).toLocaleString("en")}`);
  for (const socket of sockets) socket.close();
  server.stop();
}

console.log(`a broadcast to ${SOCKETS} sockets over TLS | µs a delivery | resident bytes a connection`);
await measure("HTTP/1.1", 0);
await measure("HTTP/2, one socket a connection", 1);
await measure("HTTP/2, 10 sockets a connection", 10);
await measure("HTTP/2, 100 sockets a connection", 100);
process.exit();
