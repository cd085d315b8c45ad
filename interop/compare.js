// Measures what the showcase's comparison page shows, and prints it as a table: `node compare.js [seconds]`. Beside what the
// page counts it prints what the browser's own network log says of the requests: whole answers and the headers of requests.

import { launch } from "./lib/browser.js";
import { Server } from "./lib/server.js";

const SECONDS = Number(process.argv[2] ?? 60);
/** How often the value changes, and how often polling asks. */
const RUNS = [
  ["100 ms", "1 s"],
  ["1 s", "1 s"],
  ["10 s", "1 s"],
];

const server = await Server.start("showcase");
const browser = await launch();
try {
  for (const [pace, polling] of RUNS) {
    console.log(`\nThe value changes about every ${pace}, polling asks every ${polling}, ${SECONDS} s:\n`);
    for (const row of await run(pace, polling)) console.log(`| ${row.join(" | ")} |`);
  }
} finally {
  await browser.close();
  await server.stop();
}

async function run(pace, polling) {
  const page = await browser.newPage();
  await page.goto(`${server.url}/compare`);
  await page.locator('#status[data-state="online"]').waitFor();
  await page.getByLabel("The value changes about every").selectOption(pace);
  await page.getByLabel("polling asks every").selectOption(polling);
  await page.locator("#clock", { hasText: "compared to" }).waitFor();
  await page.getByRole("button", { name: "Measure anew" }).click();
  const network = await countRequests(page);
  await page.waitForTimeout(SECONDS * 1_000);
  const rows = await page.locator("table tr").evaluateAll((rows) =>
    rows.map((row) => [...row.cells].map((cell) => cell.textContent)),
  );
  const clock = await page.locator("#clock").textContent();
  await page.close();
  const [head, ...ways] = rows;
  const real = { "Long-polling": network("/compare/next"), Polling: network("/compare/now") };
  return [
    [...head, "answer, whole", "request's headers"],
    [...head, "", ""].map(() => "---"),
    ...ways.map((way) => [...way, ...(real[way[0]] ?? ["–", "–"])]),
    [clock],
  ];
}

/** Counts by the browser's network log; returns what gives the averages of a path. */
async function countRequests(page) {
  const session = await page.context().newCDPSession(page);
  const paths = new Map();
  const headers = new Map();
  const answers = [];
  session.on("Network.requestWillBeSent", ({ requestId, request }) =>
    paths.set(requestId, new URL(request.url).pathname),
  );
  session.on("Network.requestWillBeSentExtraInfo", ({ requestId, headers: sent }) => {
    const lines = Object.entries(sent).map(([name, value]) => name.length + value.length + 4);
    headers.set(requestId, lines.reduce((sum, line) => sum + line, 2));
  });
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => answers.push([requestId, encodedDataLength]));
  await session.send("Network.enable");
  return (path) => {
    const own = answers.filter(([id]) => paths.get(id) === path);
    const average = (values) => (values.length ? Math.round(values.reduce((a, b) => a + b, 0) / values.length) : "–");
    return [average(own.map(([, size]) => size)), average(own.map(([id]) => headers.get(id) ?? 0))];
  };
}
