// Groups of processes that may use so much memory and no more, of Linux's control groups of either version. A group is made
// below that of the tests, or beside it where it may have none below: version 2 wants no processes in a group that hands its
// controllers down. That takes root or a user whom the groups are delegated to, and a file system that can be written.
// https://docs.kernel.org/admin-guide/cgroup-v2.html

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pause } from "./wait.js";

const ROOT = "/sys/fs/cgroup";

const read = (path) => readFileSync(path, "utf8").trim();

/** The files of one version; and whether it counts what the kernel holds for sockets, too. */
const V1 = {
  limit: "memory.limit_in_bytes",
  swap: "memory.memsw.limit_in_bytes",
  noSwap: (limit) => limit,
  peak: "memory.max_usage_in_bytes",
  kills: "memory.oom_control",
  countsSockets: false,
};
const V2 = {
  limit: "memory.max",
  swap: "memory.swap.max",
  noSwap: () => 0,
  peak: "memory.peak",
  kills: "memory.events",
  countsSockets: true,
};

/** Folders in which a group may be made, the best first, and their version. Throws where there are none. */
function places() {
  // `4:memory:/path` of version 1, `0::/path` of version 2; a path may have colons.
  const own = read("/proc/self/cgroup").split("\n").map((line) => /^\d+:([^:]*):(.*)$/.exec(line) ?? []);
  const path = (isOurs) => own.find(([, controllers]) => controllers !== undefined && isOurs(controllers))?.[2];
  const old = path((controllers) => controllers.split(",").includes("memory"));
  if (old !== undefined) return [[join(ROOT, "memory", old), V1]];
  const unified = path((controllers) => controllers === "");
  if (unified === undefined) throw new Error("these processes are in no control group");
  const folder = join(ROOT, unified);
  const folders = folder === join(ROOT, "/") ? [ROOT] : [folder, dirname(folder)];
  const handsDown = (folder) => {
    const file = join(folder, "cgroup.subtree_control");
    return existsSync(file) && read(file).split(" ").includes("memory");
  };
  const able = folders.filter(handsDown);
  if (able.length === 0) throw new Error(`the memory controller is not handed down by ${folders.join(" or ")}`);
  return able.map((folder) => [folder, V2]);
}

let count = 0;

export class Cgroup {
  /** One with so many bytes, and so many for sockets where they count. Throws where there can be none. */
  constructor(bytes, sockets = 0) {
    let failure;
    for (const [parent, files] of places()) {
      this.folder = join(parent, `gatewire-${process.pid}-${count++}`);
      this.files = files;
      try {
        mkdirSync(this.folder);
      } catch (error) {
        failure = error;
        continue;
      }
      try {
        this.limit = files.countsSockets ? bytes + sockets : bytes;
        this.#set(files.limit, this.limit);
        if (existsSync(join(this.folder, files.swap))) this.#set(files.swap, files.noSwap(this.limit));
        this.#try();
        return;
      } catch (error) {
        failure = error;
        rmdirSync(this.folder);
      }
    }
    throw failure;
  }

  /** To make a group is one thing, to enter it another: who may move a process is asked at the group that both have in common. */
  #try() {
    const { status, stderr, error } = spawnSync("sh", ["-c", this.enter], { encoding: "utf8" });
    if (status !== 0) throw error ?? new Error(stderr.trim());
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

  /** Ends what is in it, where the kernel does that (version 2, Linux 5.14), and removes it. */
  async remove() {
    for (let tries = 0; ; tries++) {
      try {
        const kill = join(this.folder, "cgroup.kill");
        if (existsSync(kill)) writeFileSync(kill, "1");
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
