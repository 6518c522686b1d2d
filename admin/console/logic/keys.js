// @ts-check
/**
 * Keys that are pressed alone, or two after each other.
 */

/**
 * Reads keys as they are pressed: which of `able` (`n`, `Ctrl+Enter`, `g z`) is complete with this one, if any.
 * The time is that of the event, so that a page which is slow to hear of a key does not take it for late.
 * @returns {(name: string, at: number, able: string[]) => string | undefined}
 */
export function keyReader() {
  let [first, since] = ['', 0];
  return (name, at, able) => {
    const pair = first && at - since <= PATIENCE ? `${first} ${name}` : name;
    const hit = [pair, name].find((key) => able.includes(key));
    // What completes nothing may begin something: `g g z` is `g z`.
    const begins = !hit && able.some((key) => key.startsWith(`${name} `));
    [first, since] = [begins ? name : '', at];
    return hit;
  };
}

/** Milliseconds within which the second of two keys comes. */
const PATIENCE = 1500;
