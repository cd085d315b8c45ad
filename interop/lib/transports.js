// The three ways the official client can come: the suites that use it run once for each.

import { io } from "socket.io-client";
import { once } from "./wait.js";

/** A label, and the client options that make a connection travel that way. */
export const TRANSPORTS = [
  ["polling only", { transports: ["polling"] }],
  ["websocket only", { transports: ["websocket"] }],
  ["polling, then upgrade", { transports: ["polling", "websocket"] }],
];

/** The clients of one test, all disconnected at its end; `connect` is the `io` of another version of the client. */
export class Clients {
  #open = [];

  constructor(server, transport, connect = io) {
    this.server = server;
    this.transport = transport;
    this.io = connect;
  }

  /** A client that was told to connect; it need not succeed. */
  start(namespace = "/", options = {}) {
    const socket = this.io(`${this.server.url}${namespace}`, {
      ...this.transport,
      forceNew: true,
      reconnection: false,
      ...options,
    });
    this.#open.push(socket);
    return socket;
  }

  /** A client that is connected, and whose upgrade, if it makes one, is done. */
  async connect(namespace, options) {
    const socket = this.start(namespace, options);
    await once(socket, "connect");
    await this.upgraded(socket);
    return socket;
  }

  /** Another namespace on the connection of `socket`; it need not be entered. */
  beside(socket, namespace, options) {
    const other = socket.io.socket(namespace, options);
    this.#open.push(other);
    return other;
  }

  async upgraded(socket) {
    const { engine } = socket.io;
    if (this.transport.transports.length > 1 && engine.transport.name === "polling") await once(engine, "upgrade");
  }

  close() {
    for (const socket of this.#open.splice(0)) socket.disconnect();
  }
}
