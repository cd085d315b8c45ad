// The chat: what the page tells the gateway and what the gateway tells the page. What it looks like is in view.js.

import { Plot } from "./plot.js";
import * as view from "./view.js";

const { elements } = view;
const CLIENTS = ["/client/socket.io.js", "https://cdn.socket.io/4.8.4/socket.io.min.js"];
const ROOM_NAME = /^[a-z0-9][a-z0-9-]{0,23}$/;
const TYPING_FOR = 3_000;

await loadClient();
const query = new URLSearchParams(location.search);
const socket = window.io({ transports: query.get("transport")?.split(",") ?? ["polling", "websocket"] });
const plot = new Plot(elements.plot);

let name = query.get("name") ?? sessionStorage.getItem("name") ?? inventName();
let room = location.hash.slice(1);
if (!ROOM_NAME.test(room)) room = "lobby";
let members = [];
let rooms = [];
const typing = new Map();
// A new connection is a new id: what was said under the earlier ones is still this person's.
const myIds = new Set(JSON.parse(sessionStorage.getItem("ids") ?? "[]"));
view.showMe(name);
view.showRoom(room);
view.clearLog();

// The connection.

socket.on("connect", () => {
  view.showStatus("online", "connected");
  myIds.add(socket.id);
  sessionStorage.setItem("ids", JSON.stringify([...myIds].slice(-20)));
  showTransport();
  join(room);
});
socket.io.on("open", () => socket.io.engine.on("upgrade", showTransport));
socket.on("connect_error", () => view.showStatus("offline", "no connection"));
socket.on("disconnect", (reason) => {
  view.showStatus("connecting", socket.active ? "reconnecting" : reason);
  typing.clear();
  view.showTyping([]);
});

function showTransport() {
  view.showTransport(socket.io.engine.transport.name);
}

/** Emits and waits for the answer; a refusal becomes the line under the message box, and undefined. */
async function ask(event, body) {
  let answer;
  try {
    answer = await socket.timeout(5_000).emitWithAck(event, body);
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
  sessionStorage.setItem("name", name);
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
  view.showPeople(members, socket.id);
}

function showRooms() {
  view.showRooms(rooms, room, (wanted) => wanted !== room && join(wanted));
}

socket.on("rooms", (list) => {
  rooms = list;
  showRooms();
});

socket.on("members", (report) => {
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
  view.showPeople(members, socket.id);
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

socket.on("message", (message) => {
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
  socket.emit("typing", { typing: now });
}
elements.text.addEventListener("input", () => sayTyping(elements.text.value.length > 0));

socket.on("typing", ({ id, name: who, typing: now }) => {
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

// The round trip: an event and its acknowledgement, twice a second while the page is seen. While a connection is moved
// from polling to WebSocket it would measure the move.

setInterval(measure, 500);

function measure() {
  if (!socket.connected || document.hidden || socket.io.engine.upgrading) return;
  const sent = performance.now();
  socket.timeout(5_000).emit("rtt", sent, (error) => {
    if (error) return;
    const ms = performance.now() - sent;
    plot.add(ms);
    view.showRtt(ms, plot.quantile(0.5), plot.quantile(0.99), plot.count);
  });
}

elements.second.addEventListener("click", () => {
  window.open(`${location.pathname}${location.hash}`, "_blank", "popup,noopener,width=520,height=760");
});

/** Loads the official client: the server's own copy, or else the client's public one. */
async function loadClient() {
  for (const source of CLIENTS) {
    const loaded = await new Promise((resolve) => {
      const script = document.createElement("script");
      script.src = source;
      script.addEventListener("load", () => resolve(true));
      script.addEventListener("error", () => resolve(false));
      document.head.append(script);
    });
    if (loaded && window.io) return;
  }
  view.showStatus("offline", "no client");
  view.showProblem("The Socket.IO client could not be loaded. Run npm ci in interop/, or go online.");
  throw new Error("no Socket.IO client");
}

function inventName() {
  const pick = (words) => words[Math.floor(Math.random() * words.length)];
  const first = pick(["Amber", "Brisk", "Calm", "Clever", "Copper", "Gentle", "Lucky", "Mellow", "Quiet", "Silver", "Swift", "Witty"]);
  const last = pick(["Badger", "Crane", "Finch", "Fox", "Heron", "Lynx", "Marten", "Otter", "Robin", "Stoat", "Swan", "Wren"]);
  return `${first} ${last}`;
}
