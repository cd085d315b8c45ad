// The four ways, each as a page of its own would do it. Each tells `onSample(sample)` what it hears and `onBytes(bytes)`
// what came over the wire for it, and ends with `stop()`.

import { Connection } from "/shared/native.js";

const encoder = new TextEncoder();
const AGAIN_AFTER = 1_000;

/** The browser's own WebSocket. It stays open, for the clock, and is only deaf when it is stopped. */
export class WebSocketWay {
  #connection;
  #isStopped = true;
  /** The message that is being told. */
  #text = "";
  onSample = () => {};
  onBytes = () => {};

  /** Opens it; `onState` hears how the connection is. */
  static async open(onState) {
    const way = new WebSocketWay();
    way.#connection = await Connection.open({ namespace: "/compare" });
    way.#connection.onState(onState);
    way.#connection.onReceived((text) => (way.#text = text));
    way.#connection.on("sample", (sample) => {
      if (way.#isStopped) return;
      way.onBytes(frameSize(encoder.encode(way.#text).length));
      way.onSample(sample);
    });
    return way;
  }

  start() {
    this.#isStopped = false;
  }

  stop() {
    this.#isStopped = true;
  }

  /** By how much the server's clock is ahead of the page's, and how wrong that may be, in milliseconds. */
  async compareClocks() {
    let best = { offset: 0, error: Infinity };
    for (let round = 0; round < 20; round += 1) {
      const before = now();
      const there = await this.#connection.ask("clock");
      const error = (now() - before) / 2;
      if (error < best.error) best = { offset: there - before - error, error };
    }
    return best;
  }
}

/** Server-Sent Events. */
export class SseWay {
  #source;
  onSample = () => {};
  onBytes = () => {};

  start() {
    this.#source = new EventSource("/compare/feed");
    this.#source.addEventListener("message", ({ data, lastEventId }) => {
      this.onBytes(chunkSize(encoder.encode(`id: ${lastEventId}\ndata: ${data}\n\n`).length));
      this.onSample(JSON.parse(data));
    });
  }

  stop() {
    this.#source?.close();
  }
}

/** Requests one after another; what they cost is told by the browser. */
class Requests {
  #abort;
  #observer;
  onSample = () => {};
  onBytes = () => {};

  start() {
    const abort = (this.#abort = new AbortController());
    this.#observer = new PerformanceObserver((list) => {
      for (const { name, transferSize } of list.getEntries()) {
        if (new URL(name).pathname === this.path) this.onBytes(transferSize);
      }
    });
    this.#observer.observe({ type: "resource" });
    this.#run(abort.signal);
  }

  stop() {
    this.#abort?.abort();
    this.#observer?.disconnect();
  }

  async #run(signal) {
    while (!signal.aborted) {
      try {
        await this.round(signal);
      } catch {
        await pause(AGAIN_AFTER, signal);
      }
      // The browser keeps 250 entries, and then no more.
      performance.clearResourceTimings();
    }
  }
}

/** A request that is held until there is news. */
export class LongPollingWay extends Requests {
  path = "/compare/next";
  #cursor;

  async round(signal) {
    const query = this.#cursor === undefined ? "" : `?cursor=${this.#cursor}`;
    const answer = await fetch(this.path + query, { signal });
    if (answer.status === 204) return;
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const { cursor, data } = await answer.json();
    this.#cursor = cursor;
    this.onSample(data);
  }
}

/** A request every so often. `no-cache` lets the browser ask with the tag of the answer that it has: 304 costs no body. */
export class PollingWay extends Requests {
  path = "/compare/now";
  every = 1_000;

  async round(signal) {
    const answer = await fetch(this.path, { signal, cache: "no-cache" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    this.onSample(await answer.json());
    await pause(this.every, signal);
  }
}

/** Milliseconds since 1970, finer than Date has them. */
export function now() {
  return performance.timeOrigin + performance.now();
}

/** Of an unmasked frame, as servers send them. */
function frameSize(payload) {
  return payload + (payload < 126 ? 2 : payload < 65_536 ? 4 : 10);
}

function chunkSize(payload) {
  return payload + payload.toString(16).length + 4;
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
