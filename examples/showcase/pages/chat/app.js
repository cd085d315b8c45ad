// The chat: what the page tells the gateway and what the gateway tells the page. What it looks like is in view.js.

import { myName } from "/shared/people.js";
import { Plot } from "./plot.js";
import * as view from "./view.js";

const { elements } = view;
const ROOM_NAME = /^[a-z0-9][a-z0-9-]{0,23}$/;
const TYPING_FOR = 3_000;

const query = new URLSearchParams(location.search);
const connection = await open();
const plot = new Plot(elements.plot);

let name = myName();
let room = location.hash.slice(1);
if (!ROOM_NAME.test(room)) room = "lobby";
let members = [];
let rooms = [];
const typing = new Map();
let myId;
// A new connection is a new id: what was said under the earlier ones is still this person's.
const myIds = new Set(JSON.parse(sessionStorage.getItem("ids") ?? "[]"));
view.showMe(name);
view.showRoom(room);
view.clearLog();

// The connection.

connection.onTransport(view.showTransport);
connection.onState((state, text) => {
  view.showStatus(state, text);
  if (state === "online") return join(room);
  typing.clear();
  view.showTyping([]);
});

/** Over Socket.IO at `/`, over the browser's own WebSocket at `/native`; the rooms are the same. */
async function open() {
  const isNative = location.pathname.startsWith("/native");
  const { Connection } = await import(isNative ? "/shared/native.js" : "/shared/socketio.js");
  try {
    return await Connection.open({ transports: query.get("transport")?.split(",") });
  } catch (error) {
    view.showStatus("offline", "no client");
    view.showProblem(error.message);
    throw error;
  }
}

/** Emits and waits for the answer; a refusal becomes the line under the message box, and undefined. */
async function ask(event, body) {
  let answer;
  try {
    answer = await connection.ask(event, body);
  } catch {
    answer = { status: "error", message: "The server did not answer." };
  }
  const failed = answer?.status === "error";
  view.showProblem(failed ? [answer.message].flat().join(", ") : "");
  return failed ? undefined : answer;
}

// Rooms and people.

async function join(wanted) {
  const joined = await ask("join", { room: wanted, name });
  if (!joined) return;
  const changed = joined.room !== room || members.length === 0;
  room = joined.room;
  name = joined.name;
  rooms = joined.rooms;
  members = joined.members;
  myId = joined.id;
  myIds.add(myId);
  sessionStorage.setItem("name", name);
  sessionStorage.setItem("ids", JSON.stringify([...myIds].slice(-20)));
  history.replaceState(null, "", `#${room}`);
  if (changed) {
    typing.clear();
    view.showTyping([]);
  }
  view.showMe(name);
  showRooms();
  view.showRoom(room);
  view.clearLog();
  for (const message of joined.history) addMessage(message, false);
  view.showPeople(members, myId);
}

function showRooms() {
  view.showRooms(rooms, room, (wanted) => wanted !== room && join(wanted));
}

connection.on("rooms", (list) => {
  rooms = list;
  showRooms();
});

connection.on("members", (report) => {
  if (report.room !== room) return;
  const before = new Map(members.map((member) => [member.id, member.name]));
  const now = new Map(report.members.map((member) => [member.id, member.name]));
  for (const [id, who] of now) {
    if (!before.has(id)) view.addNote(`${who} came in`);
    else if (before.get(id) !== who) view.addNote(`${before.get(id)} is now ${who}`);
  }
  for (const [id, who] of before) {
    if (!now.has(id)) view.addNote(`${who} left`);
  }
  members = report.members;
  for (const id of typing.keys()) if (!now.has(id)) stopTyping(id);
  view.showPeople(members, myId);
});

elements.newRoom.addEventListener("submit", (event) => {
  event.preventDefault();
  const wanted = elements.roomName.value.trim().toLowerCase().replace(/[\s_]+/g, "-");
  if (!wanted) return;
  if (!ROOM_NAME.test(wanted)) {
    view.showProblem("A room's name has up to 24 letters, digits and hyphens.");
    return;
  }
  elements.roomName.value = "";
  join(wanted);
});

const rename = () => {
  const wanted = elements.name.value.trim();
  if (!wanted || wanted === name) {
    elements.name.value = name;
    return;
  }
  name = wanted;
  join(room);
};
elements.name.addEventListener("blur", rename);
elements.me.addEventListener("submit", (event) => {
  event.preventDefault();
  elements.name.blur();
});

// Messages.

connection.on("message", (message) => {
  stopTyping(message.from);
  addMessage(message, true);
});

function addMessage(message, fresh) {
  view.addMessage(message, { mine: myIds.has(message.from), fresh });
}

elements.composer.addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = elements.text.value.trim();
  if (!text) return;
  elements.text.value = "";
  elements.text.focus();
  sayTyping(false);
  const sent = await ask("message", { text });
  if (!sent && !elements.text.value) elements.text.value = text;
});
elements.text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  elements.composer.requestSubmit();
});

// The typing indicator: one event when it begins, again every two seconds while it goes on, one when it ends.

let saidTypingAt = -Infinity;

function sayTyping(now) {
  const recently = performance.now() - saidTypingAt < 2_000;
  if (now === recently) return;
  saidTypingAt = now ? performance.now() : -Infinity;
  connection.emit("typing", { typing: now });
}
elements.text.addEventListener("input", () => sayTyping(elements.text.value.length > 0));

connection.on("typing", ({ id, name: who, typing: now }) => {
  stopTyping(id);
  if (now) typing.set(id, { who, timer: setTimeout(() => stopTyping(id), TYPING_FOR) });
  showTyping();
});

function stopTyping(id) {
  clearTimeout(typing.get(id)?.timer);
  if (typing.delete(id)) showTyping();
}

function showTyping() {
  view.showTyping([...typing.values()].map(({ who }) => who));
}

// The round trip: an event and its answer, twice a second while the page is seen.

setInterval(measure, 500);

async function measure() {
  if (!connection.isSteady || document.hidden) return;
  const sent = performance.now();
  try {
    await connection.ask("rtt", sent);
  } catch {
    return;
  }
  const ms = performance.now() - sent;
  plot.add(ms);
  view.showRtt(ms, plot.quantile(0.5), plot.quantile(0.99), plot.count);
}

elements.second.addEventListener("click", () => {
  window.open(`${location.pathname}${location.hash}`, "_blank", "popup,noopener,width=520,height=760");
});
