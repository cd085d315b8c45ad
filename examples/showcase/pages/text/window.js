// The text of one window: what it was at the last revision that is known, with the window's own edits on top that the server
// has not told yet. One edit is under way at a time; what comes meanwhile is put before all that wait.

import { apply, isEmpty, transform } from "./edit.js";

export class Window {
  #submit;
  #isUnderWay = false;
  /** Edits with their keys, the oldest first. */
  #pending = [];
  text = [];
  revision = 0;
  epoch;

  /** `submit(revision, key, edit)` sends an edit. */
  constructor(submit) {
    this.#submit = submit;
  }

  /** How many edits the server has not told yet. */
  get pending() {
    return this.#pending.length;
  }

  /** The edits that the server has not told yet, the oldest first. */
  get waiting() {
    return this.#pending.map(({ edit }) => edit);
  }

  /** Begins with a text. Edits that wait are lost; returns how many that are. */
  begin(epoch, revision, text) {
    const lost = this.#pending.length;
    Object.assign(this, { epoch, revision, text: [...text] });
    this.#pending = [];
    this.#isUnderWay = false;
    return lost;
  }

  /** Takes an edit that was made here. */
  write(edit) {
    if (isEmpty(edit)) return;
    this.text = apply(edit, this.text);
    this.#pending.push({ key: randomKey(), edit });
    this.send();
  }

  /** Sends the oldest edit, if none is under way. */
  send() {
    if (this.#isUnderWay || this.#pending.length === 0) return;
    this.#isUnderWay = true;
    const [{ key, edit }] = this.#pending;
    this.#submit(this.revision, key, edit);
  }

  /** What was under way has come or not; the changes that were missed will tell. */
  disconnect() {
    this.#isUnderWay = false;
  }

  /** Takes the next change; returns what it does to the text here: nothing, if it is this window's own. */
  receive({ revision, key, edit }) {
    this.revision = revision;
    if (this.#pending[0]?.key === key) {
      this.#pending.shift();
      this.#isUnderWay = false;
      return undefined;
    }
    let incoming = edit;
    for (const pending of this.#pending) [incoming, pending.edit] = transform(incoming, pending.edit);
    this.text = apply(incoming, this.text);
    return incoming;
  }
}

function randomKey() {
  return [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join("-");
}
