// The text: what is written becomes an edit, and edits of others change what is in the box. Where others are is shown by a
// copy of the text under it, of which nothing is seen but their carets.

import { Inbox } from "/shared/inbox.js";
import { element, hue, myName, showRow } from "/shared/people.js";
import { Connection } from "/shared/socketio.js";
import { difference, endOf, move } from "./edit.js";
import { Window } from "./window.js";

const CARET_EVERY = 60;
/** What the server does not take. */
const CONTROLS = /[\0-\x08\x0b-\x1f\x7f-\x9f]/g;

const find = (id) => document.getElementById(id);
const box = find("text");
const name = myName();
sessionStorage.setItem("name", name);

let people = [];
let myId;
let isJoined = false;
let isComposing = false;
/** Where the others are, in the server's text. */
const carets = new Map();
/** Carets of revisions that are yet to come here. */
const early = new Map();
const inbox = new Inbox(receive);
const text = new Window(submit);

// The connection.

const connection = await Connection.open({ namespace: "/text" }).catch((error) => {
  showStatus("offline", "no client");
  showProblem(error.message);
  throw error;
});
connection.on("change", (change) => inbox.add(change));
connection.on("people", showPeople);
connection.on("caret", (caret) => {
  early.set(caret.id, caret);
  placeCarets();
});
connection.onState((state, label) => {
  if (state === "online") return join();
  isJoined = false;
  inbox.close();
  text.disconnect();
  showStatus(state, label);
  showState();
});

/** Asks for what came since, or for the whole text if there is none yet, or if it is wanted `anew`. */
async function join({ anew = false } = {}) {
  const since = text.epoch && !anew ? { epoch: text.epoch, revision: text.revision } : undefined;
  let view;
  try {
    view = await connection.ask("join", { name, since });
    if (view.status === "error") throw new Error([view.message].flat().join(", "));
  } catch (error) {
    return showProblem(error.message);
  }
  myId = view.id;
  isJoined = true;
  carets.clear();
  showProblem("");
  if (view.changes) {
    for (const change of view.changes) inbox.add(change);
    if (!isComposing) inbox.open(text.revision);
  } else {
    if (text.begin(view.epoch, view.revision, view.text) && !anew) {
      showProblem("The server began anew: what was written here meanwhile is lost.");
    }
    showText();
    inbox.open(view.revision);
  }
  box.disabled = false;
  showPeople(view.people);
  text.send();
  showStatus("online", "connected");
  showState();
}

async function submit(revision, key, edit) {
  if (!isJoined) return text.disconnect();
  let answer;
  try {
    answer = await connection.ask("edit", { revision, key, edit });
  } catch {
    // The connection is lost; joining again tells what became of it.
    return;
  }
  if (answer?.status !== "error") return;
  inbox.close({ forget: false });
  await join({ anew: true });
  showProblem([answer.message].flat().join(", "));
}

function receive(change) {
  for (const caret of carets.values()) {
    for (const end of ["from", "to"]) caret[end] = move(caret[end], change.edit);
  }
  const incoming = text.receive(change);
  if (incoming) {
    const at = endOf(change.edit);
    carets.set(change.author, { from: at, to: at });
    showText(incoming);
  }
  text.send();
  placeCarets();
  showState();
}

// What is written here.

box.addEventListener("input", () => !isComposing && read());
// What comes while a character is put together waits for it.
box.addEventListener("compositionstart", () => {
  isComposing = true;
  inbox.close({ forget: false });
});
box.addEventListener("compositionend", () => {
  isComposing = false;
  read();
  if (isJoined) inbox.open(text.revision);
});

function read() {
  const clean = box.value.replace(CONTROLS, "");
  if (clean !== box.value) {
    const at = box.value.slice(0, box.selectionEnd).replace(CONTROLS, "").length;
    box.value = clean;
    box.setSelectionRange(at, at);
  }
  text.write(difference(text.text, [...box.value], selection()[1]));
  placeCarets();
  showState();
}

/** Puts the text into the box; what is selected stays so, moved by `edit`. */
function showText(edit = []) {
  const { scrollTop, selectionDirection } = box;
  const ends = selection().map((at) => Math.min(move(at, edit), text.text.length));
  box.value = text.text.join("");
  const [from, to] = ends.map((at) => text.text.slice(0, at).join("").length);
  box.setSelectionRange(from, to, selectionDirection);
  box.scrollTop = scrollTop;
}

/** From where to where it is selected, in characters. */
function selection() {
  return [box.selectionStart, box.selectionEnd].map((at) => [...box.value.slice(0, at)].length);
}

// Carets.

let sentAt = -Infinity;
let sending;
let said = "";

document.addEventListener("selectionchange", sayCaret);
// Chromium tells it of the box itself.
box.addEventListener("selectionchange", sayCaret);
box.addEventListener("focus", sayCaret);

/** Tells the others what is selected, when everything that was written is theirs. */
function sayCaret() {
  if (document.activeElement !== box || !isJoined || text.pending > 0) return;
  clearTimeout(sending);
  const wait = sentAt + CARET_EVERY - performance.now();
  if (wait > 0) {
    sending = setTimeout(sayCaret, wait);
    return;
  }
  const [from, to] = selection();
  const caret = { revision: text.revision, from, to };
  if (said === JSON.stringify(caret)) return;
  said = JSON.stringify(caret);
  sentAt = performance.now();
  connection.emitVolatile("caret", caret);
}

function placeCarets() {
  for (const [id, { revision, from, to }] of early) {
    if (revision > text.revision) continue;
    early.delete(id);
    // One of an older revision has been overtaken by an edit; another one will come.
    if (revision === text.revision) carets.set(id, { from, to });
  }
  const here = (at) => Math.min(text.waiting.reduce(move, at), text.text.length);
  const marks = [];
  for (const [id, { from, to }] of carets) {
    const who = people.find((person) => person.id === id);
    if (who && id !== myId) marks.push({ whose: who.name, from: here(from), to: here(to) });
  }
  marks.sort((a, b) => a.to - b.to);
  const parts = [];
  let at = 0;
  const copy = (end, make) => {
    if (end > at) parts.push(make(text.text.slice(at, end).join("")));
    at = Math.max(at, end);
  };
  const marked = (whose, tag, className, content) => {
    const made = element(tag, className, content);
    made.dataset.name = whose;
    made.style.setProperty("--hue", hue(whose));
    return made;
  };
  for (const { whose, from, to } of marks) {
    copy(from, String);
    copy(to, (selected) => marked(whose, "mark", "", selected));
    parts.push(marked(whose, "span", "caret"));
  }
  copy(text.text.length, String);
  // A line end at the very end has a line behind it only if something is there.
  find("carets").replaceChildren(...parts, "\n");
  find("carets").scrollTop = box.scrollTop;
}

box.addEventListener("scroll", () => (find("carets").scrollTop = box.scrollTop));

// What is seen beside the text.

function showPeople(list) {
  people = list;
  const ids = new Set(people.map(({ id }) => id));
  for (const id of carets.keys()) if (!ids.has(id)) carets.delete(id);
  showRow(find("people"), people, myId);
  placeCarets();
  // Who has just come does not know where this caret is.
  said = "";
  sayCaret();
}

function showState() {
  const { pending, revision } = text;
  find("revision").textContent = String(revision);
  find("pending").textContent = pending === 0 ? "all is saved" : isJoined ? "saving" : `${pending} edits wait`;
  box.dataset.pending = String(pending);
  sayCaret();
}

function showStatus(state, label) {
  find("status").dataset.state = state;
  find("status").textContent = label;
}

function showProblem(problem) {
  find("problem").textContent = problem;
}
