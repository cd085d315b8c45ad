// Groups of processes that may use so much memory and no more, of Linux's control groups of either version. A group is made
// below that of the tests, or beside it where it may have none below; that takes root, and a file system that can be written.

import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pause } from "./wait.js";

const read = (path) => readFileSync(path, "utf8").trim();

/** The files of one version. */
const V1 = {
  limit: "memory.limit_in_bytes",
  swap: "memory.memsw.limit_in_bytes",
  noSwap: (limit) => limit,
  peak: "memory.max_usage_in_bytes",
  kills: "memory.oom_control",
};
const V2 = { limit: "memory.max", swap: "memory.swap.max", noSwap: () => 0, peak: "memory.peak", kills: "memory.events" };

/** Folders in which a group may be made, the best first, and their version. */
function places() {
  const own = read("/proc/self/cgroup").split("\n").map((line) => line.split(":"));
  const old = own.find(([, controllers]) => controllers.split(",").includes("memory"));
  if (old) return [[join("/sys/fs/cgroup/memory", old[2]), V1]];
  const path = own.find(([, controllers]) => controllers === "")?.[2];
  if (path === undefined) return [];
  const folders = [join("/sys/fs/cgroup", path), dirname(join("/sys/fs/cgroup", path))];
  const hasMemory = (folder) => {
    const file = join(folder, "cgroup.subtree_control");
    return existsSync(file) && read(file).split(" ").includes("memory");
  };
  return folders.filter(hasMemory).map((folder) => [folder, V2]);
}

let count = 0;

export class Cgroup {
  /** One with so many bytes. Throws where there can be none. */
  constructor(bytes) {
    let reason = "no memory controller";
    for (const [parent, files] of places()) {
      this.folder = join(parent, `gatewire-${process.pid}-${count++}`);
      this.files = files;
      try {
        mkdirSync(this.folder);
        this.#set(files.limit, bytes);
        if (existsSync(join(this.folder, files.swap))) this.#set(files.swap, files.noSwap(bytes));
        return;
      } catch (error) {
        reason = error.message;
        if (existsSync(this.folder)) rmdirSync(this.folder);
      }
    }
    throw new Error(reason);
  }

  #set(file, value) {
    writeFileSync(join(this.folder, file), String(value));
  }

  /** The line by which a shell enters it. */
  get enter() {
    return `echo $$ > '${join(this.folder, "cgroup.procs")}'`;
  }

  /** The most bytes that were in use; undefined where the kernel does not tell. */
  get peak() {
    const file = join(this.folder, this.files.peak);
    return existsSync(file) ? Number(read(file)) : undefined;
  }

  /** Processes that were ended for lack of memory. */
  get kills() {
    return Number(/^oom_kill (\d+)$/m.exec(read(join(this.folder, this.files.kills)))[1]);
  }

  /** Removes it, once its processes have ended. */
  async remove() {
    for (let tries = 0; ; tries++) {
      try {
        return rmdirSync(this.folder);
      } catch (error) {
        // A process that was killed is in it for a moment longer.
        if (error.code !== "EBUSY" || tries > 100) throw error;
        await pause(20);
      }
    }
  }
}

/**
 * The `skip` option of a suite that needs one. In CI, too, it is skipped where there is none: a container whose control groups
 * cannot be written to lacks no program.
 */
export async function missingCgroup() {
  try {
    await new Cgroup(64 << 20).remove();
    return false;
  } catch (error) {
    const reason = `no control group can be made here: ${error.message}`;
    console.log(`skipped: ${reason}`);
    return reason;
  }
}
