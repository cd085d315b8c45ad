// Edits of a plain text, as the server has them: a list of how many characters are kept (a number), how many are deleted (a
// negative one), and what is inserted (a string). Positions are characters (code points), and texts are arrays of them.

/**
 * The edit that makes `after` of `before`, if one place was changed; `caret` is where the change ends in `after`, which
 * says where among equal characters it was.
 */
export function difference(before, after, caret = after.length) {
  const common = (most, same) => {
    let count = 0;
    while (count < most && same(count)) count += 1;
    return count;
  };
  const least = Math.min(before.length, after.length);
  let end = common(Math.min(least, after.length - caret), (n) => before.at(-1 - n) === after.at(-1 - n));
  const start = common(least - end, (n) => before[n] === after[n]);
  end += common(least - end - start, (n) => before.at(-1 - end - n) === after.at(-1 - end - n));
  const edit = [];
  push(edit, start);
  push(edit, after.slice(start, after.length - end).join(""));
  push(edit, start + end - before.length);
  push(edit, end);
  return edit;
}

/** Whether it changes nothing. */
export function isEmpty(edit) {
  return edit.every((part) => typeof part === "number" && part > 0);
}

/** The text after the edit. */
export function apply(edit, text) {
  const edited = [];
  let at = 0;
  for (const part of edit) {
    if (typeof part === "string") {
      edited.push(...part);
    } else {
      if (part > 0) edited.push(...text.slice(at, at + part));
      at += Math.abs(part);
    }
  }
  if (at !== text.length) throw new Error("this is an edit of another text");
  return edited;
}

/**
 * Of two edits of the same text, each as it is after the other. Where both insert at one place, what `first` inserts is in
 * front: that is the one which the server had first.
 */
export function transform(first, second) {
  const [newFirst, newSecond] = [[], []];
  const [firsts, seconds] = [[...first], [...second]];
  while (firsts.length > 0 || seconds.length > 0) {
    if (typeof firsts[0] === "string") {
      push(newSecond, [...firsts[0]].length);
      push(newFirst, firsts.shift());
      continue;
    }
    if (typeof seconds[0] === "string") {
      push(newFirst, [...seconds[0]].length);
      push(newSecond, seconds.shift());
      continue;
    }
    if (firsts.length === 0 || seconds.length === 0) throw new Error("these are edits of different texts");
    const count = Math.min(Math.abs(firsts[0]), Math.abs(seconds[0]));
    const keepsFirst = take(firsts, count);
    const keepsSecond = take(seconds, count);
    if (keepsSecond) push(newFirst, keepsFirst ? count : -count);
    if (keepsFirst) push(newSecond, keepsSecond ? count : -count);
  }
  return [newFirst, newSecond];
}

/** Where a position of the text is after the edit; what is inserted just there is behind it. */
export function move(position, edit) {
  let at = 0;
  let moved = position;
  for (const part of edit) {
    if (at >= position) break;
    if (typeof part === "string") {
      moved += [...part].length;
    } else {
      if (part < 0) moved -= Math.min(-part, position - at);
      at += Math.abs(part);
    }
  }
  return moved;
}

/** Where in the new text the last change of an edit ends: there is the caret of its author. */
export function endOf(edit) {
  let at = 0;
  let end = 0;
  for (const part of edit) {
    const isText = typeof part === "string";
    if (isText) at += [...part].length;
    else if (part > 0) at += part;
    if (isText || part < 0) end = at;
  }
  return end;
}

/** Takes `count` characters of the first part; whether they are kept. */
function take(parts, count) {
  const [part] = parts;
  const left = Math.abs(part) - count;
  if (left === 0) parts.shift();
  else parts[0] = Math.sign(part) * left;
  return part > 0;
}

function push(edit, part) {
  if (!part) return;
  const last = edit.at(-1);
  const goesOn = typeof last === typeof part && (typeof part === "string" || last > 0 === part > 0);
  if (goesOn) edit[edit.length - 1] += part;
  else edit.push(part);
}
