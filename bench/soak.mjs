// The official clients of the soak: `gatewire-bench soak` starts this with a server's URL, a seed, seconds and the name of the
// round, and reads a line of JSON for each client that has ended.

import { createRequire } from "node:module";

const { io } = createRequire(new URL("../interop/package.json", import.meta.url))("socket.io-client");
const [url, seed, seconds, round] = process.argv.slice(2);
const CLIENTS = 8;
const PATIENCE = 20_000;
const until = Date.now() + Number(seconds) * 1000;

/** Numbers below `limit` that a seed repeats (mulberry32). */
function dice(state) {
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  };
}

const filler = (life, number, length) => `${life}#${number};`.repeat(length).slice(0, length);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), ms)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function live(life, roll) {
  const account = { is_known: false, sent: 0, acknowledged: 0, said: 0 };
  const transports = [["websocket"], ["polling"], ["polling", "websocket"]][roll(3)];
  const socket = io(url, { forceNew: true, reconnection: false, transports, query: { life } });
  let fault;
  const wrong = (what) => (fault ??= what);
  const rooms = new Set();
  const last = new Map();
  socket.on("question", (number, answer) => answer(number + 1));
  socket.on("said", ({ room, from, number, text }) => {
    if (!rooms.has(room)) wrong(`a message came to ${room}, in which it never was`);
    if (text !== filler(from, number, text.length)) wrong(`the message ${number} of ${from} was changed`);
    if ((last.get(from + room) ?? -1) >= number) wrong(`the message ${number} of ${from} came too late`);
    last.set(from + room, number);
  });
  const ask = (event, ...args) => within(PATIENCE, `the answer to ${event}`, socket.emitWithAck(event, ...args));
  const steps = [
    async () => {
      const number = account.sent++;
      const answer = await ask("work", { number, text: filler(life, number, 1 + roll(200)) });
      if (answer !== number) return wrong(`work ${number} was answered with ${JSON.stringify(answer)}`);
      account.acknowledged++;
    },
    async () => {
      const room = `room-${roll(12)}`;
      rooms.add(room);
      await ask("join", room);
    },
    async () => {
      const number = account.said++;
      await ask("say", { room: `room-${roll(12)}`, from: life, number, text: filler(life, number, 1 + roll(500)) });
    },
    async () => {
      const bytes = Buffer.from(Array.from({ length: 1 + roll(3000) }, () => roll(256)));
      const answer = await ask("reverse", bytes);
      if (!Buffer.from(answer).equals(Buffer.from(bytes).reverse())) wrong("bytes came back changed");
    },
    async () => {
      const number = roll(1_000_000);
      if ((await ask("ask", number)) !== number + 1) wrong("a question was answered wrongly");
    },
    () => pause(roll(60)),
  ];
  try {
    await within(PATIENCE, "the connection", new Promise((resolve, reject) => {
      socket.once("connect", resolve).once("connect_error", reject);
    }));
    account.is_known = true;
    socket.on("disconnect", (reason) => reason.startsWith("io client") || wrong(`the connection was lost: ${reason}`));
    for (let n = 3 + roll(25); n > 0; n--) await steps[[0, 0, 0, 1, 2, 2, 3, 4, 5][roll(9)]]();
    if (roll(3) === 0) {
      socket.off("disconnect");
      socket.io.engine.close();
    }
  } catch (error) {
    wrong(error.message);
  }
  socket.disconnect();
  console.log(JSON.stringify({ life, kind: `official ${transports.join("+")}`, account, fault }));
}

await Promise.all(
  Array.from({ length: CLIENTS }, async (_, client) => {
    for (let number = 0; Date.now() < until; number++) {
      await live(`n${round}${client}-${number}`, dice(Number(seed) * 31 + client * 1_000_003 + number));
    }
  }),
);
