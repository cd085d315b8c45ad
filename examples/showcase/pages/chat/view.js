// What is on the page, and nothing of how it came there: every function takes data and changes elements. Text from
// other people only ever becomes text nodes.

import { avatar, element, hue, initials } from "/shared/people.js";

const find = (id) => document.getElementById(id);

export const elements = {
  composer: find("composer"),
  text: find("text"),
  name: find("name"),
  me: find("me"),
  newRoom: find("new-room"),
  roomName: find("room-name"),
  plot: find("plot"),
  second: find("second"),
};

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

export function showMe(name) {
  const mine = find("my-avatar");
  mine.textContent = initials(name);
  mine.style.setProperty("--hue", hue(name));
  if (document.activeElement !== elements.name) elements.name.value = name;
}

/** The state pill: `state` is "online", "connecting" or "offline". */
export function showStatus(state, text) {
  const status = find("status");
  status.dataset.state = state;
  status.textContent = text;
}

export function showTransport(name) {
  find("transport").textContent = name;
}

export function showProblem(text) {
  find("problem").textContent = text;
}

/** The list of rooms; `open` is called with the name of the one that was chosen. */
export function showRooms(rooms, current, open) {
  const list = find("rooms");
  const focused = document.activeElement?.closest?.("#rooms button")?.dataset.room;
  list.replaceChildren(
    ...rooms.map(({ name, members }) => {
      const button = element("button");
      button.type = "button";
      button.dataset.room = name;
      button.setAttribute("aria-current", String(name === current));
      const count = element("span", "room-count", String(members));
      count.setAttribute("aria-label", `${members} here`);
      button.append(element("span", "room-name", name), count);
      button.addEventListener("click", () => open(name));
      const item = element("li");
      item.append(button);
      return item;
    }),
  );
  if (focused) list.querySelector(`[data-room="${focused}"]`)?.focus();
}

export function showRoom(name) {
  find("room").textContent = name;
  find("rooms").querySelector("[aria-current=true]")?.scrollIntoView({ inline: "center", block: "nearest" });
  document.title = `#${name} · Gatewire chat`;
}

export function showPeople(members, myId) {
  find("count").textContent = String(members.length);
  find("summary").textContent = members.length === 1 ? "Only you are here" : `${members.length} people are here`;
  find("people").replaceChildren(
    ...members.map(({ id, name }) => {
      const item = element("li");
      item.title = name;
      item.append(avatar(name), element("span", "person-name", name));
      if (id === myId) item.append(element("small", "", "you"));
      return item;
    }),
  );
}

export function showTyping(names) {
  const line = find("typing");
  if (names.length === 0) {
    line.replaceChildren();
    return;
  }
  const dots = element("span", "dots");
  dots.append(element("i"), element("i"), element("i"));
  const who =
    names.length === 1
      ? `${names[0]} is typing`
      : names.length === 2
        ? `${names[0]} and ${names[1]} are typing`
        : "Several people are typing";
  line.replaceChildren(dots, document.createTextNode(who));
}

/** Empties the log; the invitation shows until the first message. */
export function clearLog() {
  find("messages").replaceChildren();
  find("empty").hidden = false;
}

/** Adds one message; those that follow one another from the same person within two minutes share a heading. */
export function addMessage({ from, name, text, at }, { mine, fresh }) {
  const list = find("messages");
  const stay = atEnd();
  const before = list.lastElementChild;
  const follows = before?.dataset.from === from && at - Number(before.dataset.at) < 120_000;
  const item = element("li", "message last");
  item.dataset.from = from;
  item.dataset.at = String(at);
  item.style.setProperty("--hue", hue(name));
  item.classList.toggle("mine", mine);
  item.classList.toggle("follows", follows);
  item.classList.toggle("arrives", fresh);
  const time = element("time", "", clock.format(at));
  time.dateTime = new Date(at).toISOString();
  const by = element("span", "by");
  by.append(element("b", "", name), time);
  item.append(avatar(name), by, element("span", "text", text));
  if (follows) before.classList.remove("last");
  list.append(item);
  find("empty").hidden = true;
  if (stay || mine || !fresh) scrollToEnd();
}

/** A line about the room itself: somebody came or went. */
export function addNote(text) {
  const list = find("messages");
  if (list.childElementCount === 0) return;
  const stay = atEnd();
  list.append(element("li", "note", text));
  if (stay) scrollToEnd();
}

// Whoever reads the end of the log stays there, also when the log itself becomes smaller (a phone's keyboard).
let reading = true;
find("log").addEventListener("scroll", () => (reading = atEnd()), { passive: true });
new ResizeObserver(() => reading && scrollToEnd()).observe(find("log"));

function atEnd() {
  const log = find("log");
  return log.scrollHeight - log.scrollTop - log.clientHeight < 80;
}

function scrollToEnd() {
  const log = find("log");
  log.scrollTop = log.scrollHeight;
  reading = true;
}

export function showRtt(now, median, high, samples) {
  find("rtt").textContent = format(now);
  // How much the plot shows, for whoever waits for a picture of it.
  find("rtt").dataset.samples = samples;
  find("rtt-median").textContent = `${format(median)} ms`;
  find("rtt-high").textContent = `${format(high)} ms`;
}

function format(ms) {
  return ms < 10 ? ms.toFixed(1) : String(Math.round(ms));
}
