// @ts-check
/**
 * Staged edits, kept for each zone over navigation and reload, in this tab.
 */
import { useCallback, useState } from '../vendor/preact.js';
import { empty, size } from '../logic/draft.js';

/** @typedef {import('../logic/draft.js').Draft} Draft */

/** @param {string} zone */
const keyOf = (zone) => `zonda.draft.${zone}`;

/** @param {string} zone @returns {Draft} */
function load(zone) {
  try {
    return JSON.parse(sessionStorage.getItem(keyOf(zone)) ?? '') ?? empty();
  } catch {
    return empty();
  }
}

/** Forgets the edits of a zone. @param {string} zone */
export const forget = (zone) => sessionStorage.removeItem(keyOf(zone));

/** The edits of a zone, and how to change them. @param {string} zone @returns {[Draft, (draft: Draft) => void]} */
export function useDraft(zone) {
  const [draft, setDraft] = useState(() => load(zone));
  const keep = useCallback(
    (/** @type {Draft} */ next) => {
      setDraft(next);
      if (size(next)) sessionStorage.setItem(keyOf(zone), JSON.stringify(next));
      else forget(zone);
    },
    [zone],
  );
  return [draft, keep];
}
