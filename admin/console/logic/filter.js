// @ts-check
/**
 * What is typed into the filter of records: bare words are part of names or data, `name:`, `type:` and `content:` are
 * more exact.
 */
import { toAscii } from './names.js';

/** @param {string} text @returns {{ search?: string, name?: string, type?: string, content?: string }} the parameters of the API */
export function parse(text) {
  /** @type {Record<string, string>} */
  const found = {};
  const bare = [];
  for (const part of text.trim().split(/\s+/).filter(Boolean)) {
    const [, key, value] = /^(name|type|content):(.*)$/i.exec(part) ?? [];
    if (key) {
      if (value) found[key.toLowerCase()] = key.toLowerCase() === 'type' ? value.toUpperCase() : toAscii(value);
    } else bare.push(part);
  }
  if (bare.length) found.search = toAscii(bare.join(' '));
  return found;
}
