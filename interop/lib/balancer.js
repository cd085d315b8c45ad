// Balancers of a test's own: nginx and HAProxy as `examples/cluster` configures them, but for ports and folders.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { missing } from "./server.js";

const examples = join(dirname(fileURLToPath(import.meta.url)), "../../examples/cluster");
const children = new Set();
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

/** Where a program is; Debian has balancers where only root's PATH leads. */
function find(program) {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin"];
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
}

/** The `skip` option of a suite that needs the balancer `program`. */
export function missingBalancer(program) {
  return missing(`${program} (apt-get install ${program === "nginx" ? "nginx-light" : program})`, find(program));
}

/** Ports that were free just now. */
async function freePorts(count) {
  const listeners = Array.from({ length: count }, () => net.createServer().listen(0, "127.0.0.1"));
  await Promise.all(listeners.map((listener) => once(listener, "listening")));
  const ports = listeners.map((listener) => listener.address().port);
  for (const listener of listeners) listener.close();
  await Promise.all(listeners.map((listener) => once(listener, "close")));
  return ports;
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1", () => resolve(true));
    socket.once("connect", () => socket.destroy());
    socket.once("error", () => resolve(false));
  });
}

/** A running balancer; `url` is where its clients connect. */
export class Balancer {
  #child;
  #folder = mkdtempSync(join(tmpdir(), "gatewire-balancer-"));
  #output = "";

  /**
   * Starts `program` with the configuration `file` of the examples, whose nodes are to be `servers` and which is asked on
   * its port `port`.
   */
  static async start(program, file, port, servers) {
    const balancer = new Balancer();
    const [front, other] = await freePorts(2);
    const ports = { 3001: servers[0].port, 3002: servers[1].port, 3003: servers[2].port, 8080: other, 8081: other };
    ports[port] = front;
    const written = readFileSync(join(examples, file), "utf8");
    const config = written.replaceAll(/127\.0\.0\.1:(\d+)/g, (_, port) => `127.0.0.1:${ports[port]}`);
    const path = join(balancer.#folder, file);
    writeFileSync(path, config);
    // nginx's workers would be of another user.
    const own = process.getuid?.() === 0 ? "user root;" : "";
    const args = program === "nginx" ? ["-p", balancer.#folder, "-c", path, "-g", own] : ["-f", path];
    const child = spawn(find(program), args, { stdio: ["ignore", "pipe", "pipe"] });
    balancer.#child = child;
    children.add(child);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => (balancer.#output = (balancer.#output + text).slice(-16_384)));
    }
    const end = Date.now() + 10_000;
    while (!(await answers(front))) {
      if (child.exitCode !== null || Date.now() > end) {
        throw new Error(`${program} does not start:\n${balancer.#output}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    balancer.port = front;
    balancer.url = `http://127.0.0.1:${front}`;
    return balancer;
  }

  async stop() {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill("SIGTERM");
      await once(this.#child, "exit");
    }
    children.delete(this.#child);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
