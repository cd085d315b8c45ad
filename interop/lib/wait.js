// Waiting that always ends: every wait of the suites goes through here, so a lost message is a failure with a name, not
// a test run that hangs.

/** How long, in milliseconds, a test waits for what should come at once. */
export const PATIENCE = 5_000;

/** The promise's value, or an error that says what did not come within `ms` milliseconds. */
export async function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms in vain for ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The arguments of the emitter's next `event`, as an array. */
export function once(emitter, event, ms = PATIENCE) {
  return within(ms, `the event "${event}"`, new Promise((resolve) => emitter.once(event, (...args) => resolve(args))));
}

/** Collects the arguments of every `event`; `take(n)` waits until n have come and returns them. */
export function collect(emitter, event) {
  const seen = [];
  let wake = () => {};
  emitter.on(event, (...args) => {
    seen.push(args);
    wake();
  });
  return {
    seen,
    take: (n, ms = PATIENCE) =>
      within(
        ms,
        `${n} times the event "${event}"`,
        new Promise((resolve) => {
          wake = () => seen.length >= n && resolve(seen.slice(0, n));
          wake();
        }),
      ),
  };
}

/** A pause, for rules of a protocol that speak of time (a heartbeat missed on purpose); never to wait for a result. */
export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
