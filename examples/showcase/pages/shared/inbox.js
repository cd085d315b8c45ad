// Changes with numbers, handed on in their order and each once: what comes before the state that it belongs to waits, and so
// does what comes before its predecessor.

export class Inbox {
  #apply;
  #next;
  #waiting = new Map();

  constructor(apply) {
    this.#apply = apply;
  }

  /** Goes on behind `revision`, which is what the page has now. */
  open(revision) {
    this.#next = revision + 1;
    for (const key of this.#waiting.keys()) if (key < this.#next) this.#waiting.delete(key);
    this.#drain();
  }

  /** Keeps what comes until there is a state again; `forget` what waits if it belongs to another one. */
  close({ forget = true } = {}) {
    this.#next = undefined;
    if (forget) this.#waiting.clear();
  }

  add(change) {
    if (change.revision < this.#next) return;
    this.#waiting.set(change.revision, change);
    this.#drain();
  }

  #drain() {
    while (this.#waiting.has(this.#next)) {
      const change = this.#waiting.get(this.#next);
      this.#waiting.delete(this.#next);
      this.#next += 1;
      this.#apply(change);
    }
  }
}
