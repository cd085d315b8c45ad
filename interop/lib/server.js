// Starts one of the programs under test as a child process and stops it again.
//
// Normally that is a Rust example from $GATEWIRE_BIN_DIR (default ../target/debug/examples); with REFERENCE=1 it is the
// program of the same name in reference/, which does the same on the npm packages: what a test expects is thus checked
// against the original first.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { PATIENCE, within } from "./wait.js";

const here = dirname(fileURLToPath(import.meta.url));

/** True when the suites run against the npm packages instead of Gatewire. */
export const reference = process.env.REFERENCE === "1";

const binDir = process.env.GATEWIRE_BIN_DIR ?? join(here, "../../target/debug/examples");
const children = new Set();

function killAll() {
  for (const child of children) child.kill("SIGKILL");
}
process.on("exit", killAll);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    killAll();
    process.exit(1);
  });
}

function command(name, isReference = reference) {
  if (isReference) {
    const script = join(here, "../reference", `${name}.js`);
    return existsSync(script) ? [process.execPath, script] : undefined;
  }
  // Examples lie in examples/, programs one level above.
  const program = [join(binDir, name), join(binDir, "..", name)].find((path) => existsSync(path));
  return program && [program];
}

/**
 * Why something cannot be tested here, for the runner's `skip` option; false when it can. In CI nothing may be missing:
 * there it throws instead.
 */
export function missing(what, present) {
  if (present) return false;
  const reason = `${what} is missing`;
  if (process.env.CI === "true") throw new Error(`${reason}, and CI skips nothing`);
  console.log(`skipped: ${reason}`);
  return reason;
}

/** The `skip` option of a suite that needs the program `name`. */
export function missingServer(name) {
  return missing(`the program ${name} (cargo build -p gatewire-examples --bins --examples)`, command(name));
}

/** Where the program `name` is, for one that does not listen. */
export function programOf(name) {
  return command(name, false)?.[0];
}

/** A running program: where it listens, and how to stop it. */
export class Server {
  #child;
  #exited;
  #output = "";
  #onOutput = () => {};

  /**
   * Starts `name` on `port` (0: a free one) and waits for its "listening on" line. With `isReference` it is the program on
   * the npm packages, whatever is tested. `limits` is a line for the shell that starts it (`ulimit -n 64`).
   */
  static async start(name, { port = 0, env = {}, isReference, limits } = {}) {
    const server = new Server();
    const found = command(name, isReference);
    if (!found) throw new Error(`no program named ${name}`);
    const [program, ...args] = limits ? ["sh", "-c", `${limits} && exec "$0" "$@"`, ...found] : found;
    const child = spawn(program, args, {
      env: { ...process.env, PORT: String(port), HOST: "127.0.0.1", NO_COLOR: "1", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    children.add(child);
    server.#child = child;
    server.#exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        children.delete(child);
        resolve({ code, signal });
      });
    });
    const listening = new Promise((resolve, reject) => {
      const read = (chunk) => {
        server.#output = (server.#output + chunk).slice(-64 * 1024);
        const found = /listening on https?:\/\/[^\s:]+:(\d+)/.exec(server.#output);
        if (found) resolve(Number(found[1]));
        server.#onOutput();
      };
      child.stdout.setEncoding("utf8").on("data", read);
      child.stderr.setEncoding("utf8").on("data", read);
      child.once("error", reject);
      server.#exited.then(({ code, signal }) =>
        reject(new Error(`${name} ended (${signal ?? code}) before it listened:\n${server.#output}`)),
      );
    });
    server.port = await within(10_000, `${name} to listen`, listening);
    server.url = `http://127.0.0.1:${server.port}`;
    server.wsUrl = `ws://127.0.0.1:${server.port}`;
    return server;
  }

  /** True while the process lives. */
  get alive() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What the program printed lately, for failure messages. */
  get output() {
    return this.#output;
  }

  /** Waits until the program has printed `text`. */
  printed(text) {
    const seen = new Promise((resolve) => {
      this.#onOutput = () => this.#output.includes(text) && resolve();
      this.#onOutput();
    });
    return within(PATIENCE, `the output "${text}"`, seen);
  }

  /** Tells it to end, and waits until it is gone by itself, for `ms` milliseconds. */
  end(ms) {
    this.#child.kill("SIGTERM");
    return within(ms, "the server to end", this.#exited);
  }

  /** The process's id. */
  get pid() {
    return this.#child.pid;
  }

  /** Sends the process a signal that does not end it. */
  signal(name) {
    this.#child.kill(name);
  }

  /** Ends the process with `signal` and waits until it is gone. */
  async stop(signal = "SIGKILL", ms = 10_000) {
    if (this.alive) this.#child.kill(signal);
    return within(ms, "the server to exit", this.#exited);
  }
}
