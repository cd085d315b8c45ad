// Redis servers of a test's own: each on a free port, its files in a folder of its own, gone with the test.

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { missing } from "./server.js";

function isThere() {
  try {
    return execFileSync("redis-server", ["--version"]).length > 0;
  } catch {
    return false;
  }
}

/** The `skip` option of a suite that needs Redis. */
export function missingRedis() {
  return missing("redis-server (apt-get install redis-server)", isThere());
}

const children = new Set();
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

async function freePort() {
  const listener = net.createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address();
  listener.close();
  await once(listener, "close");
  return port;
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1", () => socket.write("PING\r\n"));
    socket.once("data", (data) => {
      socket.destroy();
      resolve(String(data).startsWith("+PONG"));
    });
    socket.once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
  });
}

export class Redis {
  #child;
  #folder = mkdtempSync(join(tmpdir(), "gatewire-redis-"));

  /** An empty one; what it gets it finds again after `startAgain`. */
  static async start() {
    const redis = new Redis();
    redis.port = await freePort();
    redis.url = `redis://127.0.0.1:${redis.port}`;
    await redis.#spawn();
    return redis;
  }

  async #spawn() {
    const options = { "--port": this.port, "--bind": "127.0.0.1", "--dir": this.#folder, "--save": "" };
    const args = Object.entries({ ...options, "--appendonly": "yes", "--appendfsync": "always" }).flat();
    const child = spawn("redis-server", args.map(String), { stdio: "ignore" });
    this.#child = child;
    children.add(child);
    const end = Date.now() + 20_000;
    while (!(await answers(this.port))) {
      if (child.exitCode !== null || Date.now() > end) throw new Error("redis-server does not start");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Stops it in the middle of what it does. */
  pause() {
    this.#child.kill("SIGSTOP");
  }

  /** Lets it go on. */
  resume() {
    this.#child.kill("SIGCONT");
  }

  /** Ends it at once. */
  async kill() {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill("SIGKILL");
      await once(this.#child, "exit");
    }
    children.delete(this.#child);
  }

  /** Ends it at once, and starts it on the same port. */
  async startAgain() {
    await this.kill();
    await this.#spawn();
  }

  async stop() {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
