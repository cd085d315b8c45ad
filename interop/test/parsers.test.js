// The decoders beside those of `socket.io-parser` and `engine.io-parser`, on some ten thousand texts: packets as the
// official encoders write them, and the same with letters changed, left out and put in. Both are to take the same texts and
// to understand the same; where we are stricter on purpose (docs/differences-from-node.md) is said by a rule.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { describe, test } from "node:test";
import { decodePacket, decodePayload, encodePayload } from "engine.io-parser";
import { Decoder, Encoder } from "socket.io-parser";
import { missingServer, programOf } from "../lib/server.js";
import { PATIENCE, within } from "../lib/wait.js";

const ROUNDS = 12_000;

/** The same in every run. */
function chance(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const NAMES = ["a", "echo", "message", "connect", "__proto__", "error", "", "é🦀", "disconnecting", 'q"\\', "\u2028"];
const SPACES = ["/", "/adm", "/a/b", "/adm?x=1", "/é", "/room-1"];

function value(pick, depth = 0) {
  const kinds = depth > 3 ? 7 : 10;
  switch (pick(kinds)) {
    case 0:
      return null;
    case 1:
      return pick(2) === 0;
    case 2:
      return [0, -1, 1.5, 1e21, -0.25, 2 ** 53, 1e-7][pick(7)];
    case 3:
    case 4:
      return NAMES[pick(NAMES.length)];
    case 5:
      return String.fromCharCode(...Array.from({ length: pick(5) }, () => pick(0x300)));
    case 6:
      return pick(1_000);
    case 7:
      return Array.from({ length: pick(4) }, () => value(pick, depth + 1));
    case 8:
      return Buffer.from([pick(256), 0, 255]);
    default:
      return Object.fromEntries(
        Array.from({ length: pick(4) }, () => [NAMES[pick(NAMES.length)], value(pick, depth + 1)]),
      );
  }
}

/** A packet as the official encoder writes it; of a binary one only the text. */
function socketIoText(pick) {
  const type = pick(5);
  const packet = { type, nsp: SPACES[pick(SPACES.length)] };
  const args = Array.from({ length: pick(3) }, () => value(pick));
  if (type === 0) packet.data = pick(2) ? { token: value(pick, 3) } : undefined;
  if (type === 2) packet.data = [NAMES[pick(NAMES.length)], ...args];
  if (type === 3) packet.data = args;
  if (type === 4) packet.data = { message: "no" };
  if (type === 3 || (type === 2 && pick(2))) packet.id = [0, 7, 12, 99_999][pick(4)];
  return new Encoder().encode(packet)[0];
}

const LETTERS = [..."0123456789[]{}\",:-+./ eEbtn\\\u001e\u0000é"];

function changed(pick, text) {
  const letters = [...text];
  for (let times = pick(4); times > 0; times -= 1) {
    const at = pick(letters.length + 1);
    const letter = LETTERS[pick(LETTERS.length)];
    letters.splice(at, pick(2), ...(pick(3) ? [letter] : []));
  }
  return letters.join("");
}

/** What the program makes of the texts. */
async function probe(kind, texts) {
  const child = spawn(programOf("parser_probe"), { stdio: ["pipe", "pipe", "inherit"] });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text) => (output += text));
  const closed = new Promise((resolve, reject) => {
    child.on("close", resolve);
    child.on("error", reject);
  });
  child.stdin.end(texts.map((text) => `${JSON.stringify([kind, text])}\n`).join(""));
  try {
    assert.equal(await within(6 * PATIENCE, "the end of the program", closed), 0);
  } finally {
    child.kill();
  }
  const lines = output.trimEnd().split("\n");
  assert.equal(lines.length, texts.length);
  return lines.map((line) => JSON.parse(line));
}

/** As JSON has it, so that `undefined`, -0 and the like are equal on both sides. */
const plain = (data) => JSON.parse(JSON.stringify(data ?? null));

function theirSocketIo(text) {
  const decoder = new Decoder();
  try {
    const { type, nsp, id, attachments, data } = decoder.decodeString(text);
    return { type, nsp, id: id ?? null, attachments: attachments ?? 0, data: plain(data) };
  } catch {
    return null;
  }
}

/** Why we refuse what the official parser takes; undefined if there is no reason. */
function strictness(text, theirs) {
  const head = /^[56]?[^-]*-/.exec(text)?.[0] ?? "";
  const count = /^[56]([^-]*)-/.exec(text)?.[1];
  if (!/^[0-6]/.test(text)) return "a type that JavaScript reads as 0";
  if (count !== undefined && !/^[0-9]+$/.test(count)) return "a number as JavaScript reads it";
  if ([2, 3, 5, 6].includes(theirs.type) && theirs.data === null) return "no data";
  if ([3, 6].includes(theirs.type) && theirs.id === null) return "an answer to nothing";
  if ([0, 1, 4].includes(theirs.type) && theirs.id !== null) return "an id where none belongs";
  if (theirs.id !== null && theirs.id > Number.MAX_SAFE_INTEGER) return "an id that nobody counts to";
  const rest = text.slice(/^[56]/.test(text) ? head.length : 1);
  const behind = rest.startsWith("/") ? rest.slice(theirs.nsp.length + 1) : rest;
  if (theirs.id !== null && !/^[0-9]/.test(behind)) return "a number as JavaScript reads it";
  if (theirs.id !== null && !/^[0-9]+[[{"]/.test(behind)) return "a number as JavaScript reads it";
  return undefined;
}

describe("decoders beside the official ones", { skip: missingServer("parser_probe") }, () => {
  test("packets of Socket.IO", async () => {
    const pick = chance(20_261_129);
    const texts = Array.from({ length: ROUNDS }, () => changed(pick, socketIoText(pick)));
    const ours = await probe("socketio", texts);
    const tally = { both: 0, neither: 0, stricter: 0 };
    texts.forEach((text, at) => {
      const theirs = theirSocketIo(text);
      if (ours[at] === null && theirs !== null) {
        assert.ok(strictness(text, theirs), `only Node takes ${JSON.stringify(text)}`);
        tally.stricter += 1;
        return;
      }
      const [head, data] = ours[at] ?? [];
      assert.deepEqual(head ? { ...head, data: plain(data) } : null, theirs, JSON.stringify(text));
      tally[theirs ? "both" : "neither"] += 1;
    });
    console.log(tally);
    assert.ok(tally.both > ROUNDS / 4 && tally.neither > ROUNDS / 10);
  });

  /** Node reads any base64, and data where there is none to be. */
  const isStricter = (text) => (text[0] === "b" ? !isBase64(text.slice(1)) : "156".includes(text[0]) && text.length > 1);
  const isBase64 = (text) => {
    const written = Buffer.from(text, "base64").toString("base64");
    return written.startsWith(text) && text.startsWith(written.replace(/=+$/, ""));
  };
  const shown = ({ type, data }) => ({ type, data: Buffer.isBuffer(data) ? [...data] : (data ?? "") });

  function engineIoPackets(pick) {
    const types = ["open", "close", "ping", "pong", "message", "message", "message", "upgrade", "noop"];
    return Array.from({ length: 1 + pick(4) }, () => {
      const type = types[pick(types.length)];
      if (type !== "message") return { type, data: type === "ping" && pick(2) ? "probe" : undefined };
      return { type, data: pick(3) ? socketIoText(pick) : Buffer.from(Array.from({ length: pick(9) }, () => pick(256))) };
    });
  }

  test("payloads and packets of Engine.IO", async () => {
    const pick = chance(7);
    const written = (packets) => {
      let text;
      encodePayload(packets, (payload) => (text = payload));
      return text;
    };
    const texts = Array.from({ length: ROUNDS }, () => changed(pick, written(engineIoPackets(pick))));
    const ours = await probe("payload", texts);
    const tally = { both: 0, neither: 0, stricter: 0 };
    texts.forEach((text, at) => {
      const theirs = decodePayload(text);
      const isError = theirs.some((packet) => packet.type === "error");
      if (ours[at] === null && !isError) {
        assert.ok(text.split("\u001e").some(isStricter), `only Node takes ${JSON.stringify(text)}`);
        tally.stricter += 1;
        return;
      }
      assert.deepEqual(ours[at], isError ? null : theirs.map(shown), JSON.stringify(text));
      tally[isError ? "neither" : "both"] += 1;
    });
    console.log(tally);
    assert.ok(tally.both > ROUNDS / 4);

    const packets = texts.flatMap((text) => text.split("\u001e"));
    const each = await probe("engineio", packets);
    packets.forEach((text, at) => {
      const theirs = decodePacket(text);
      if (each[at] === null && theirs.type !== "error") {
        assert.ok(isStricter(text), `only Node takes ${JSON.stringify(text)}`);
        return;
      }
      assert.deepEqual(each[at], theirs.type === "error" ? null : shown(theirs), JSON.stringify(text));
    });
  });
});
