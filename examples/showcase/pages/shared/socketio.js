// The connection by the official Socket.IO client. native.js is the same by the browser's own WebSocket, and pages know
// only what both have.

const CLIENTS = ["/client/socket.io.js", "https://cdn.socket.io/4.8.4/socket.io.min.js"];

export class Connection {
  #socket;
  #showTransport = () => {};

  /** Waits until the client script is there; an error if it is nowhere. */
  static async open({ namespace = "/", transports = ["polling", "websocket"] } = {}) {
    await loadClient();
    const connection = new Connection();
    connection.#socket = window.io(namespace, { transports });
    return connection;
  }

  /** Calls `on` with an event's data whenever it comes. */
  on(event, on) {
    this.#socket.on(event, on);
  }

  /** Tells how the connection is: "online", "connecting" or "offline", and a word for it. */
  onState(tell) {
    const socket = this.#socket;
    socket.on("connect", () => tell("online", "connected"));
    socket.on("connect_error", () => tell("offline", "no connection"));
    socket.on("disconnect", (reason) => tell("connecting", socket.active ? "reconnecting" : reason));
  }

  /** Tells what carries the messages, now and whenever that changes. */
  onTransport(tell) {
    this.#showTransport = () => tell(this.#socket.io.engine.transport.name);
    this.#socket.on("connect", this.#showTransport);
    this.#socket.io.on("open", () => this.#socket.io.engine.on("upgrade", this.#showTransport));
  }

  emit(event, data) {
    this.#socket.emit(event, data);
  }

  /** As `emit`, for what is worth nothing later: dropped if it cannot be sent at once. */
  emitVolatile(event, data) {
    this.#socket.volatile.emit(event, data);
  }

  /** The answer, or an error after five seconds. */
  ask(event, data) {
    return this.#socket.timeout(5_000).emitWithAck(event, data);
  }

  /** Whether a round trip would be one: a move from polling to WebSocket would measure the move. */
  get isSteady() {
    return this.#socket.connected && !this.#socket.io.engine.upgrading;
  }
}

/** The server's own copy, or else the client's public one. */
async function loadClient() {
  for (const source of CLIENTS) {
    const loaded = await new Promise((resolve) => {
      const script = document.createElement("script");
      script.src = source;
      script.addEventListener("load", () => resolve(true));
      script.addEventListener("error", () => resolve(false));
      document.head.append(script);
    });
    if (loaded && window.io) return;
  }
  throw new Error("The Socket.IO client could not be loaded. Run npm ci in interop/, or go online.");
}
