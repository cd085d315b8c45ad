// The protocols by hand: a WebSocket peer that keeps what it received, and long-polling requests of one session. No
// Engine.IO or Socket.IO client is involved, so that every byte is the test's own.

import net from "node:net";
import { randomBytes } from "node:crypto";
import { WebSocket } from "ws";
import { PATIENCE, within } from "./wait.js";

/** A WebSocket whose messages wait in a queue until they are asked for. Engine.IO pings are set aside. */
export class Peer {
  #queue = [];
  #wake = () => {};
  pings = 0;

  constructor(url, options = {}) {
    this.socket = new WebSocket(url, { perMessageDeflate: false, ...options });
    this.socket.on("message", (data, isBinary) => {
      const message = isBinary ? Uint8Array.from(data) : data.toString();
      if (message === "2" && !options.keepPings) {
        this.pings += 1;
        if (options.pong) this.socket.send("3");
        return;
      }
      this.#queue.push(message);
      this.#wake();
    });
    this.opened = new Promise((resolve) => this.socket.once("open", resolve));
    this.ended = new Promise((resolve) => {
      this.socket.once("unexpected-response", (request, response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (chunk) => (body += chunk));
        response.on("end", () => {
          resolve({ status: response.statusCode, headers: response.headers, body });
          request.destroy();
        });
      });
      this.socket.once("close", (code, reason) => resolve({ code, reason: reason.toString() }));
      this.socket.on("error", () => {});
    });
  }

  /** The next message: a string, or a Uint8Array. */
  next(ms = PATIENCE) {
    return within(
      ms,
      "a WebSocket message",
      new Promise((resolve, reject) => {
        this.#wake = () => {
          if (this.#queue.length === 0) return;
          this.#wake = () => {};
          resolve(this.#queue.shift());
        };
        this.#wake();
        this.ended.then((end) => reject(new Error(`closed instead of a message: ${JSON.stringify(end)}`)));
      }),
    );
  }

  /** How it ended: `{code, reason}` of the close, or `{status, body}` of a refused handshake. */
  closed(ms = PATIENCE) {
    return within(ms, "the WebSocket to close", this.ended);
  }

  /** Messages that nobody asked for yet. */
  get waiting() {
    return this.#queue.length;
  }

  send(...messages) {
    for (const message of messages) this.socket.send(message);
  }

  close() {
    this.socket.terminate();
  }
}

/** One Engine.IO session over long-polling. */
export class Polling {
  /** Opens a session at `base` (such as http://127.0.0.1:1/socket.io/). */
  static async open(base) {
    const session = new Polling();
    session.url = `${base}?EIO=4&transport=polling`;
    const response = await request(session.url);
    if (response.status !== 200) throw new Error(`no session: ${response.status} ${response.body}`);
    session.open = JSON.parse(response.body.slice(1));
    session.url += `&sid=${session.open.sid}`;
    return session;
  }

  get sid() {
    return this.open.sid;
  }

  /** One GET: `{status, body, headers}`. */
  get(options) {
    return request(this.url, options);
  }

  /** One POST with `body` as text. */
  post(body, options = {}) {
    return request(this.url, { method: "POST", body, ...options });
  }

  /** Polls until a packet comes that is no ping (pings are answered), and returns all of that response's packets. */
  async packets() {
    for (;;) {
      const { status, body } = await this.get();
      if (status !== 200) throw new Error(`poll answered ${status} ${body}`);
      const packets = body.split("\x1e");
      if (packets.includes("2")) await this.post("3");
      const rest = packets.filter((packet) => packet !== "2");
      if (rest.length > 0) return rest;
    }
  }
}

/** An HTTP request by `fetch`, read to its end within the patience of the suites. */
export async function request(url, options = {}) {
  const response = await fetch(url, { signal: AbortSignal.timeout(PATIENCE), ...options });
  return { status: response.status, headers: response.headers, body: await response.text() };
}

/** A TCP connection that has done the WebSocket handshake by hand; for frames that no library would write. */
export class RawSocket {
  #read = Buffer.alloc(0);

  static async open(url) {
    const { hostname, port, pathname, search } = new URL(url);
    const raw = new RawSocket();
    raw.socket = net.connect({ host: hostname, port: Number(port) });
    raw.ended = new Promise((resolve) => {
      raw.socket.once("close", resolve);
      raw.socket.on("error", () => {});
    });
    raw.socket.write(
      `GET ${pathname}${search} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n\r\n`,
    );
    const head = new Promise((resolve) => {
      raw.socket.on("data", (chunk) => {
        raw.#read = Buffer.concat([raw.#read, chunk]);
        if (raw.#read.includes("\r\n\r\n")) resolve();
      });
    });
    await within(PATIENCE, "the WebSocket handshake", head);
    const text = raw.#read.toString("latin1");
    if (!text.startsWith("HTTP/1.1 101")) throw new Error(`no upgrade: ${text}`);
    raw.#read = raw.#read.subarray(raw.#read.indexOf("\r\n\r\n") + 4);
    return raw;
  }

  /** Writes one frame; `mask: false` leaves it unmasked, which a client never may. */
  frame(opcode, payload, { mask = true, fin = true, rsv = 0 } = {}) {
    const data = Buffer.from(payload);
    const head = [(fin ? 0x80 : 0) | (rsv << 4) | opcode];
    const bit = mask ? 0x80 : 0;
    if (data.length < 126) head.push(bit | data.length);
    else head.push(bit | 126, data.length >> 8, data.length & 0xff);
    const key = mask ? randomBytes(4) : Buffer.alloc(0);
    if (mask) data.forEach((byte, i) => (data[i] = byte ^ key[i % 4]));
    this.socket.write(Buffer.concat([Buffer.from(head), key, data]));
  }

  /** Waits for the close frame, answers it, and returns its code once the connection has ended (undefined: none came). */
  async closeCode() {
    let code;
    const look = () => {
      code ??= this.#closeFrame();
      if (code !== undefined) this.socket.end(Buffer.from([0x88, 0x80, 0, 0, 0, 0]));
    };
    this.socket.on("data", look);
    look();
    await within(PATIENCE, "the connection to end", this.ended);
    return code;
  }

  #closeFrame() {
    let rest = this.#read;
    while (rest.length >= 2) {
      const opcode = rest[0] & 0x0f;
      let length = rest[1] & 0x7f;
      let start = 2;
      if (length === 126) {
        length = rest.readUInt16BE(2);
        start = 4;
      }
      if (rest.length < start + length) return undefined;
      if (opcode === 8) return length >= 2 ? rest.readUInt16BE(start) : 1005;
      rest = rest.subarray(start + length);
    }
    return undefined;
  }
}
