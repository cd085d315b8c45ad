// The dashboard: the state is fetched once, and the stream goes on from it. A lost stream is the browser's to open again; it
// says by itself which event was the last, and the server replays what came since.

import { Chart } from "/shared/chart.js";

const SPAN = 60_000;
const LEAST_SPAN = 15_000;
const COME_BACK_AFTER = 2_000;
/** What is later than the fastest by this many milliseconds was replayed. */
const LATE = 1_000;
const EVENTS_SHOWN = 4;

const find = (id) => document.getElementById(id);
const chart = new Chart(find("chart"));
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const hidden = new Set();

let symbols = [];
let tiles = [];
let every = 500;
let ticks = [];
let lastId = "";
let stream;
let isLost = false;
let retry;
/** Ticks that wait while the state is fetched again. */
let held;
/** By how much this clock is ahead of the server's, transport included. */
let ahead = Infinity;
const count = { received: 0, replayed: 0, missed: 0 };

start();

async function start() {
  try {
    await fetchState();
  } catch {
    showStatus("offline", "no connection");
    setTimeout(start, COME_BACK_AFTER);
    return;
  }
  listen();
  requestAnimationFrame(frame);
}

async function fetchState() {
  const answer = await fetch("/dashboard/history");
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const state = await answer.json();
  ({ symbols, every, lastId, ticks } = state);
  showTiles();
  showNumbers();
}

// The stream.

function listen() {
  stream = new EventSource(`/dashboard/ticker?lastEventId=${encodeURIComponent(lastId)}`);
  stream.addEventListener("open", () => {
    showStatus("online", "streaming");
    if (isLost) note("The stream is back.");
    isLost = false;
  });
  stream.addEventListener("tick", ({ data, lastEventId }) => add(JSON.parse(data), lastEventId));
  stream.addEventListener("reset", beginAnew);
  stream.addEventListener("error", () => {
    if (!isLost) note("The stream was lost; the browser will come back.");
    isLost = true;
    showStatus("connecting", "reconnecting");
    // It gives up when something else than the server answers, as a proxy without its upstream does.
    if (stream.readyState === EventSource.CLOSED) retry = setTimeout(listen, COME_BACK_AFTER);
  });
}

/** Fetches the state again; what comes meanwhile waits for it. */
async function beginAnew() {
  held = [];
  try {
    await fetchState();
  } catch {
    retry = setTimeout(beginAnew, COME_BACK_AFTER);
    return;
  }
  note("The server began anew, or this page was away for too long: the state was fetched again.");
  const waiting = held ?? [];
  held = undefined;
  for (const [tick, id] of waiting) add(tick, id);
}

function add(tick, id) {
  if (held) {
    held.push([tick, id]);
    return;
  }
  // A state that was fetched anew may have it already.
  const last = ticks.at(-1)?.seq ?? 0;
  if (tick.seq <= last) return;
  count.missed += ticks.length > 0 ? tick.seq - last - 1 : 0;
  ticks.push(tick);
  const newest = tick.at;
  while (ticks[0].at < newest - 2 * SPAN) ticks.shift();
  lastId = id;
  count.received += 1;
  const delay = Date.now() - tick.at;
  ahead = Math.min(ahead, delay);
  if (delay - ahead > LATE) count.replayed += 1;
  showNumbers();
}

find("pause").addEventListener("click", ({ currentTarget: button }) => {
  const leaves = button.getAttribute("aria-pressed") === "false";
  button.setAttribute("aria-pressed", String(leaves));
  button.textContent = leaves ? "Come back" : "Leave the stream";
  if (leaves) {
    stream.close();
    clearTimeout(retry);
    showStatus("offline", "left");
    note("The page has left the stream.");
  } else {
    note(`The page comes back after event ${lastId}.`);
    listen();
  }
});

// What is seen.

function showStatus(state, text) {
  find("status").dataset.state = state;
  find("status").textContent = text;
}

function note(text) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = clock.format(new Date());
  item.append(time, text);
  find("events").prepend(item);
  while (find("events").childElementCount > EVENTS_SHOWN) find("events").lastElementChild.remove();
}

function showTiles() {
  if (tiles.length > 0) return;
  tiles = symbols.map((symbol, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    button.title = "Show or hide its line";
    button.style.setProperty("--series", `var(--series-${index + 1})`);
    const [name, price, change] = ["symbol", "price", "change"].map((className) => {
      const part = document.createElement("span");
      part.className = className;
      return part;
    });
    name.textContent = symbol;
    button.append(name, change, price);
    button.addEventListener("click", () => {
      const shows = hidden.delete(index) || !hidden.add(index);
      button.setAttribute("aria-pressed", String(shows));
      draw();
    });
    const item = document.createElement("li");
    item.append(button);
    find("tiles").append(item);
    return { price, change };
  });
}

function showNumbers() {
  const tick = ticks.at(-1);
  const first = ticks.find(({ at }) => at >= tick.at - SPAN);
  for (const [index, { price, change }] of tiles.entries()) {
    if (!tick) break;
    price.textContent = (tick.cents[index] / 100).toFixed(2);
    const share = (tick.cents[index] / first.cents[index] - 1) * 100;
    change.textContent = percent(share);
    change.dataset.up = String(share >= 0);
  }
  for (const [name, value] of Object.entries(count)) find(name).textContent = String(value);
  find("last-id").textContent = lastId || "–";
  find("received").dataset.seq = String(tick?.seq ?? 0);
  draw();
}

function percent(value) {
  return `${value < 0 ? "−" : value > 0 ? "+" : ""}${Math.abs(value).toFixed(2)} %`;
}

let drawnAt = 0;

/** Moves the chart on between the ticks. */
function frame(now) {
  requestAnimationFrame(frame);
  if (calm.matches || now - drawnAt < 40 || stream.readyState !== EventSource.OPEN) return;
  drawnAt = now;
  draw();
}

function draw() {
  if (ticks.length === 0) return;
  const newest = ticks.at(-1).at;
  // Not beyond the time of the next tick: a line that is late waits.
  const now = Number.isFinite(ahead) ? Math.min(Date.now() - ahead, newest + every) : newest;
  const span = Math.min(SPAN, Math.max(LEAST_SPAN, now - ticks[0].at));
  const from = ticks.findLastIndex(({ at }) => at < now - span);
  const shown = ticks.slice(Math.max(0, from));
  const first = shown.find(({ at }) => at >= now - span) ?? shown[0];
  const series = symbols.flatMap((_, index) =>
    hidden.has(index)
      ? []
      : [{
          color: `--series-${index + 1}`,
          points: shown.map(({ at, cents }) => [at, (cents[index] / first.cents[index] - 1) * 100]),
        }],
  );
  const most = Math.max(0.5, ...series.flatMap(({ points }) => points.map(([, y]) => Math.abs(y))));
  const step = [0.25, 0.5, 1, 2, 5, 10, 20].find((step) => most / step <= 2.2) ?? 50;
  const top = Math.ceil(most / step) * step;
  const lines = [];
  for (let value = -top; value <= top; value += step) lines.push(value);
  chart.show({ series, x: [now - span, now], y: [-top, top], lines, label: percent });
}
