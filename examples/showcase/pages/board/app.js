// The board: what is drawn here is seen at once, and is everybody's when the server has told it. Until then it is wet.

import { Inbox } from "/shared/inbox.js";
import { element, myName, showRow } from "/shared/people.js";
import { Connection } from "/shared/socketio.js";
import { Canvas } from "./canvas.js";

const COLORS = ["Ink", "Green", "Orange", "Violet", "Pink", "Blue"];
const SEND_EVERY = 40;
const POINT_EVERY = 50;
/** Fewer than the server takes in one message, and in one stroke. */
const POINTS_AT_ONCE = 200;
const POINTS_OF_A_STROKE = 2_000;
const STEP = 10;

const find = (id) => document.getElementById(id);
const board = find("board");
const canvas = new Canvas(board);
const name = myName();
sessionStorage.setItem("name", name);

/** Strokes by author and number, in the order of their beginning. */
let strokes = new Map();
/** What was sent, piece by piece, and is not told by the server yet. */
let wet = [];
/** The stroke of a pen that is down: its points are those that are not sent yet. */
let drawing;
let limit = Infinity;
let people = [];
let myId;
let isJoined = false;
let color = Math.floor(Math.random() * COLORS.length);

const keyOf = ({ author, number }) => `${author} ${number}`;
const inbox = new Inbox(apply);

canvas.strokes = () => {
  const all = new Map(strokes);
  for (const piece of drawing?.points.length ? [...wet, drawing] : wet) {
    const points = all.get(keyOf(piece))?.points ?? [];
    all.set(keyOf(piece), { ...piece, points: [...points, ...piece.points] });
  }
  return all.values();
};

function apply({ stroke }) {
  if (!stroke) {
    strokes.clear();
  } else {
    if (stroke.author === myId) wet.shift();
    const begun = strokes.get(keyOf(stroke));
    if (begun) begun.points.push(...stroke.points);
    else strokes.set(keyOf(stroke), stroke);
    if (strokes.size > limit) strokes.delete(strokes.keys().next().value);
  }
  show();
}

function show() {
  board.dataset.strokes = strokes.size;
  canvas.draw();
}

// The connection.

const connection = await Connection.open({ namespace: "/board" }).catch((error) => {
  showStatus("offline", "no client");
  showProblem(error.message);
  throw error;
});
connection.on("change", (change) => inbox.add(change));
connection.on("people", showPeople);
connection.on("exception", ({ message }) => showProblem([message].flat().join(", ")));
connection.on("pointer", ({ id, at }) => {
  const who = people.find((person) => person.id === id);
  if (who) canvas.showPointer(id, who.name, at);
});
connection.onState((state, text) => {
  if (state === "online") return join();
  isJoined = false;
  drawing = undefined;
  inbox.close();
  showStatus(state, text);
});

async function join() {
  try {
    const view = await connection.ask("join", { name });
    if (view.status === "error") throw new Error([view.message].flat().join(", "));
    ({ id: myId, limit } = view);
    canvas.size = { width: view.width, height: view.height };
    strokes = new Map(view.strokes.map((stroke) => [keyOf(stroke), stroke]));
    wet = [];
    isJoined = true;
    inbox.open(view.revision);
    showPeople(view.people);
    show();
    showProblem("");
    showStatus("online", "connected");
  } catch (error) {
    showProblem(error.message);
  }
}

function showStatus(state, text) {
  find("status").dataset.state = state;
  find("status").textContent = text;
}

function showProblem(text) {
  find("problem").textContent = text;
}

function showPeople(list) {
  people = list;
  showRow(find("people"), people, myId);
  canvas.keepPointers(new Set(people.map(({ id }) => id)));
}

// Drawing.

let lastNumber = 0;
let drawn = 0;
let pen = [800, 500];
let pointedAt = -Infinity;

function lowerPen(point) {
  if (!isJoined) return;
  drawing = { author: myId, number: ++lastNumber, color, points: [] };
  drawn = 0;
  movePen(point);
}

function movePen(point) {
  pen = point;
  const now = performance.now();
  if (isJoined && now - pointedAt >= POINT_EVERY) {
    pointedAt = now;
    connection.emitVolatile("pointer", point);
  }
  if (!drawing) return;
  drawing.points.push(point);
  drawn += 1;
  if (drawing.points.length >= POINTS_AT_ONCE) send();
  if (drawn >= POINTS_OF_A_STROKE) {
    send();
    lowerPen(point);
  }
  canvas.draw();
}

function liftPen() {
  send();
  drawing = undefined;
}

function send() {
  if (!drawing?.points.length) return;
  const { number, color, points } = drawing;
  wet.push({ ...drawing });
  connection.emit("draw", { number, color, points });
  drawing.points = [];
}

setInterval(send, SEND_EVERY);

board.addEventListener("pointerdown", (event) => {
  if (event.button !== 0 || !event.isPrimary) return;
  board.setPointerCapture(event.pointerId);
  lowerPen(canvas.pointAt(event));
});
board.addEventListener("pointermove", (event) => event.isPrimary && movePen(canvas.pointAt(event)));
for (const end of ["pointerup", "pointercancel", "blur"]) board.addEventListener(end, liftPen);

board.addEventListener("keydown", (event) => {
  const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
  const step = event.shiftKey ? 5 * STEP : STEP;
  if (dx || dy) movePen(canvas.clamp([pen[0] + dx * step, pen[1] + dy * step]));
  else if (event.key !== " ") return;
  else if (drawing) liftPen();
  else lowerPen(pen);
  event.preventDefault();
  canvas.showPointer("keyboard", "your pen", pen);
  find("pen").textContent = drawing ? "The pen is down." : "The pen is up.";
});

find("wipe").addEventListener("click", () => isJoined && connection.emit("wipe"));

find("colors").append(
  ...COLORS.map((label, index) => {
    const choice = element("input");
    Object.assign(choice, { type: "radio", name: "color", value: String(index), checked: index === color, title: label });
    choice.setAttribute("aria-label", label);
    choice.style.setProperty("--color", `var(--color-${index})`);
    choice.addEventListener("change", () => (color = index));
    return choice;
  }),
);
