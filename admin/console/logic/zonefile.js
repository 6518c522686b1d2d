// @ts-check
/**
 * What can be guessed of a zone file before the server has read it.
 */
import { faultOfName } from './names.js';

/** The zone that a file is of, from its $ORIGIN, its SOA record, or its name; or nothing. @param {string} text @param {string} [file] */
export function guessZone(text, file = '') {
  const origin = /^\$ORIGIN\s+(\S+\.)\s*(?:;.*)?$/im.exec(text)?.[1];
  const owner = /^(\S+\.)\s+(?:\S+\s+){0,2}SOA\s/im.exec(text)?.[1];
  const named = file.replace(/^(db\.|zone\.)/i, '').replace(/\.(zone|db|txt|hosts|signed)$/i, '');
  const guess = owner ?? origin ?? (named.includes('.') ? named : '');
  return faultOfName(guess) === '' ? guess : '';
}
