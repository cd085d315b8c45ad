// The algorithm of the showcase's shared text, as its page has it: the counterpart of the server's property tests.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";

const source = readFileSync(new URL("../../examples/showcase/pages/text/edit.js", import.meta.url), "utf8");
// Files beside a Rust program are no package of Node's; this one needs no other.
const { apply, difference, endOf, isEmpty, move, transform } = await import(
  `data:text/javascript,${encodeURIComponent(source)}`
);

/** The same in every run. */
function chance(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function randomText(pick, most) {
  return Array.from({ length: pick(most) }, () => [..."ab0é🦀\n"][pick(6)]);
}

function randomEdit(pick, length) {
  const edit = [];
  let left = length;
  for (let part = 0; part < 5; part += 1) {
    const count = Math.min(pick(4), left);
    const kind = pick(3);
    if (kind === 0) edit.push(randomText(pick, 4).join(""));
    else edit.push(kind === 1 ? -count : count);
    if (kind !== 0) left -= count;
  }
  edit.push(left);
  return edit.filter((part) => part !== 0 && part !== "");
}

describe("edits of a text", () => {
  test("both orders make the same text", () => {
    const pick = chance(7);
    for (let round = 0; round < 5_000; round += 1) {
      const text = randomText(pick, 15);
      const [first, second] = [randomEdit(pick, text.length), randomEdit(pick, text.length)];
      const [newFirst, newSecond] = transform(first, second);
      const one = apply(newSecond, apply(first, text));
      assert.deepEqual(one, apply(newFirst, apply(second, text)), JSON.stringify({ text, first, second }));
    }
  });

  test("the first one inserts in front", () => {
    assert.deepEqual(transform([1, "A", 1], [1, "B", 1]), [[1, "A", 2], [2, "B", 1]]);
    assert.throws(() => transform([1], [2]), /different texts/);
  });

  test("a difference makes the text that was written", () => {
    const pick = chance(11);
    for (let round = 0; round < 5_000; round += 1) {
      const [before, after] = [randomText(pick, 8), randomText(pick, 8)];
      const edit = difference(before, after, pick(after.length + 1));
      assert.deepEqual(apply(edit, before), after);
      assert.equal(isEmpty(edit), before.join("") === after.join(""));
    }
    assert.deepEqual(difference([..."aaaa"], [..."aaaaa"], 2), [1, "a", 3]);
    assert.deepEqual(difference([], [..."0123"], 4), ["0123"]);
  });

  test("positions go with the text", () => {
    assert.equal(move(3, [1, "xy", 9]), 5);
    assert.equal(move(3, [3, "xy", 9]), 3);
    assert.equal(move(3, [1, -5, 4]), 1);
    assert.equal(endOf([2, "12", -3, 4]), 4);
    assert.equal(endOf([2, -3, 4]), 2);
  });
});
