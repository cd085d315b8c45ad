// The comparison: what the four ways tell is counted here, and shown.

import { Chart } from "/shared/chart.js";
import { LongPollingWay, PollingWay, SseWay, WebSocketWay, now } from "./ways.js";

const SPAN = 30_000;
const LEAST_SPAN = 10_000;
/** Of so many changes the quantiles are taken. */
const KEPT = 2_000;
const PACES = [100, 250, 500, 1_000, 2_000, 5_000, 10_000];
const DRAWN_EVERY = 250;
const CLOCKS_EVERY = 10_000;

const find = (id) => document.getElementById(id);
const chart = new Chart(find("chart"));

const socket = await WebSocketWay.open((state, text) => {
  find("status").dataset.state = state;
  find("status").textContent = text;
  if (state === "online") compareClocks();
});
const polling = new PollingWay();
const ways = [
  ["WebSocket", socket],
  ["SSE", new SseWay()],
  ["Long-polling", new LongPollingWay()],
  ["Polling", polling],
].map(([label, way], index) => ({ label, way, color: `--series-${index + 1}`, row: makeRow(label, index) }));

/** By how much the server's clock is ahead; unknown at first. */
let offset;
let pace;
let isRunning = false;
let startedAt = now();

for (const each of ways) {
  reset(each);
  each.way.onBytes = (bytes) => {
    each.bytes += bytes;
    each.requests += 1;
  };
  each.way.onSample = (sample) => hear(each, sample, now());
}
fill(find("pace"), 1_000);
fill(find("polling"), 1_000);
start();
setInterval(show, DRAWN_EVERY);
setInterval(compareClocks, CLOCKS_EVERY);

async function compareClocks() {
  try {
    const { offset: found, error } = await socket.compareClocks();
    offset = found;
    find("clock").textContent = `clocks compared to ±${error.toFixed(1)} ms`;
  } catch {
    // The socket is lost, and will be back.
  }
}

function hear(each, sample, at) {
  if (pace !== undefined && sample.pace !== pace) {
    // Somebody set another pace, here or in another window: what was measured does not belong together.
    pace = sample.pace;
    find("pace").value = String(pace);
    measureAnew();
  }
  pace = sample.pace;
  const { last } = each;
  each.last = sample.seq;
  // The first is what was there before, and a lower number is that of a server that began anew.
  if (last === undefined || sample.seq <= last || offset === undefined) return;
  each.missed += sample.seq - last - 1;
  each.changes += 1;
  each.points.push([at, Math.max(0, at + offset - sample.at)]);
  if (each.points.length > KEPT) each.points.shift();
}

function reset(each) {
  Object.assign(each, { last: undefined, points: [], changes: 0, missed: 0, requests: 0, bytes: 0 });
}

function measureAnew() {
  ways.forEach(reset);
  startedAt = now();
  show();
}

function start() {
  isRunning = true;
  measureAnew();
  for (const { way } of ways) way.start();
}

function stop() {
  isRunning = false;
  show();
  for (const { way } of ways) way.stop();
}

// The controls.

function fill(select, chosen) {
  select.replaceChildren(
    ...PACES.map((ms) => new Option(ms < 1_000 ? `${ms} ms` : `${ms / 1_000} s`, ms, false, ms === chosen)),
  );
}

find("controls").addEventListener("submit", (event) => event.preventDefault());
find("again").addEventListener("click", measureAnew);
find("pause").addEventListener("click", ({ currentTarget: button }) => {
  if (isRunning) stop();
  else start();
  button.setAttribute("aria-pressed", String(!isRunning));
  button.textContent = isRunning ? "Stop" : "Go on";
});
find("pace").addEventListener("change", ({ currentTarget: select }) =>
  fetch("/compare/pace", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: select.value,
  }).catch(() => {}),
);
find("polling").addEventListener("change", ({ currentTarget: select }) => {
  polling.every = Number(select.value);
  measureAnew();
});

// What is seen.

function makeRow(label, index) {
  const row = document.createElement("tr");
  row.dataset.way = label;
  row.style.setProperty("--series", `var(--series-${index + 1})`);
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = label;
  const labels = [...document.querySelectorAll("thead th")].slice(1).map(({ textContent }) => textContent);
  const cells = labels.map((text) => {
    const cell = document.createElement("td");
    cell.dataset.label = text;
    return cell;
  });
  cells[5].className = "wide";
  const bar = document.createElement("div");
  bar.className = "bar";
  bar.append(document.createElement("span"));
  cells[5].append(bar);
  row.append(head, ...cells);
  find("ways").append(row);
  return { cells, bar };
}

function show() {
  if (!isRunning) return;
  const seconds = Math.max(0.001, (now() - startedAt) / 1_000);
  const most = Math.max(1, ...ways.map(({ bytes }) => bytes));
  for (const { row, points, changes, missed, requests, bytes, way } of ways) {
    const sorted = points.map(([, ms]) => ms).sort((a, b) => a - b);
    const quantile = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
    const texts = [
      millis(quantile(0.5)),
      millis(quantile(0.99)),
      changes,
      missed,
      "path" in way ? requests : "–",
      undefined,
      changes ? Math.round(bytes / changes) : "–",
    ];
    for (const [index, text] of texts.entries()) if (text !== undefined) row.cells[index].textContent = text;
    row.bar.firstElementChild.textContent = `${Math.round(bytes / seconds)} B/s`;
    row.bar.style.setProperty("--share", bytes / most);
  }
  const to = now();
  const span = Math.min(SPAN, Math.max(LEAST_SPAN, to - startedAt));
  chart.show({
    series: ways.map(({ color, points }) => ({ color, points: points.filter(([at]) => at > to - span) })),
    x: [to - span, to],
    y: [0.1, 10_000],
    lines: [0.1, 1, 10, 100, 1_000, 10_000],
    label: (ms) => (ms < 1_000 ? `${ms} ms` : `${ms / 1_000} s`),
    seconds: 5,
    log: true,
    dots: true,
  });
}

function millis(ms) {
  if (ms === undefined) return "–";
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}
