// The connection by the browser's own WebSocket: messages are `{"event","data"}`, with an `id` where an answer is wanted.
// What the official client does by itself is done here in a few lines: answers by id, and coming back.

const ANSWER_WITHIN = 5_000;
const FIRST_DELAY = 500;
const LONGEST_DELAY = 8_000;

export class Connection {
  #socket;
  #listeners = new Map();
  #questions = new Map();
  #lastId = 0;
  #attempts = 0;
  #retry;
  #tellState = () => {};
  #tellTransport = () => {};
  #tellReceived = () => {};
  #path;

  static async open({ namespace = "/" } = {}) {
    const connection = new Connection();
    connection.#path = `/ws${namespace.replace(/\/$/, "")}`;
    // The listeners come first.
    queueMicrotask(() => connection.#connect());
    // A network that is back needs no patience.
    addEventListener("online", () => connection.#retry && connection.#connect());
    return connection;
  }

  /** Calls `on` with an event's data whenever it comes. */
  on(event, on) {
    this.#listeners.set(event, on);
  }

  /** Tells how the connection is: "online", "connecting" or "offline", and a word for it. */
  onState(tell) {
    this.#tellState = tell;
  }

  /** Tells what carries the messages. */
  onTransport(tell) {
    this.#tellTransport = tell;
  }

  /** Tells the text of each message that comes, before its listeners hear of it. */
  onReceived(tell) {
    this.#tellReceived = tell;
  }

  emit(event, data) {
    if (this.isSteady) this.#socket.send(JSON.stringify({ event, data }));
  }

  /** The answer, or an error after five seconds. A connection that gives none is taken for lost. */
  ask(event, data) {
    return new Promise((resolve, reject) => {
      if (!this.isSteady) return reject(new Error("not connected"));
      const id = ++this.#lastId;
      const socket = this.#socket;
      const timer = setTimeout(() => {
        this.#questions.delete(id);
        reject(new Error("no answer"));
        this.#lost(socket);
      }, ANSWER_WITHIN);
      this.#questions.set(id, { resolve, reject, timer });
      socket.send(JSON.stringify({ event, data, id }));
    });
  }

  get isSteady() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  #connect() {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${this.#path}`);
    this.#socket = socket;
    socket.addEventListener("open", () => {
      this.#attempts = 0;
      this.#tellTransport("native");
      this.#tellState("online", "connected");
    });
    socket.addEventListener("message", ({ data }) => {
      this.#tellReceived(data);
      this.#receive(JSON.parse(data));
    });
    // Comes after an error, too.
    socket.addEventListener("close", () => this.#lost(socket));
  }

  #receive({ event, data, id }) {
    const question = this.#questions.get(id);
    if (!question) return this.#listeners.get(event)?.(data);
    this.#questions.delete(id);
    clearTimeout(question.timer);
    question.resolve(data);
  }

  /** Tries again later: after half a second, then twice as long each time, and never at the same moment as everybody else. */
  #lost(socket) {
    if (socket !== this.#socket) return;
    this.#socket = undefined;
    socket.close();
    for (const { reject, timer } of this.#questions.values()) {
      clearTimeout(timer);
      reject(new Error("the connection ended"));
    }
    this.#questions.clear();
    const delay = Math.min(FIRST_DELAY * 2 ** this.#attempts, LONGEST_DELAY) * (0.5 + Math.random() / 2);
    this.#attempts += 1;
    this.#tellState(this.#attempts > 3 ? "offline" : "connecting", this.#attempts > 3 ? "no connection" : "reconnecting");
    this.#retry = setTimeout(() => this.#connect(), delay);
  }
}
