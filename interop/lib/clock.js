// A wall clock that a test can set, for a program that is started with its `env`. libfaketime stands before the C library; the
// monotonic clock, which nobody can set, is left alone.

import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { missing } from "./server.js";

function library() {
  if (process.platform !== "linux") return undefined;
  const folders = readdirSync("/usr/lib").map((name) => join("/usr/lib", name, "faketime"));
  return [...folders, "/usr/lib/faketime"].map((folder) => join(folder, "libfaketimeMT.so.1")).find((path) => existsSync(path));
}

/** The `skip` option of a suite that sets clocks. */
export function missingClock() {
  return missing("libfaketime (apt-get install faketime)", library());
}

export class Clock {
  #folder = mkdtempSync(join(tmpdir(), "gatewire-clock-"));
  #file = join(this.#folder, "offset");

  constructor() {
    this.set(0);
  }

  /** What a program is started with. */
  get env() {
    return {
      LD_PRELOAD: library(),
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      NO_FAKE_STAT: "1",
    };
  }

  /** So many seconds before or behind the true time. */
  set(seconds) {
    // A program never reads half of it.
    writeFileSync(`${this.#file}.new`, `${seconds < 0 ? "" : "+"}${seconds}\n`);
    renameSync(`${this.#file}.new`, this.#file);
  }

  remove() {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
