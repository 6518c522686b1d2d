// @ts-check
// Server-sent events, read from pieces of text as they arrive (HTML §9.2.6).

/** @typedef {{ event: string, data: string }} ServerEvent */

/**
 * A reader of one stream: takes the next piece of text and gives the events that it completes.
 * @returns {(piece: string) => ServerEvent[]}
 */
export function eventReader() {
  let rest = '';
  let event = '';
  /** @type {string[]} */
  let data = [];
  return (piece) => {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    /** @type {ServerEvent[]} */
    const events = [];
    for (const text of lines) {
      const line = text.endsWith('\r') ? text.slice(0, -1) : text;
      if (line === '') {
        if (data.length > 0) events.push({ event: event || 'message', data: data.join('\n') });
        event = '';
        data = [];
        continue;
      }
      const colon = line.indexOf(':');
      // A line that begins with a colon is a sign of life.
      if (colon === 0) continue;
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
      if (field === 'event') event = value;
      if (field === 'data') data.push(value);
    }
    return events;
  };
}

/**
 * How long to wait before a lost connection is tried anew: soon at first, then longer, up to five seconds.
 * @param {number} attempt how many attempts have failed
 */
export function patience(attempt) {
  return Math.min(250 * 2 ** Math.max(attempt - 1, 0), 5000);
}
