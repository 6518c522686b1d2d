// @ts-check
/**
 * Keys: each screen says what its keys do, and the help lists what can be pressed now.
 */
import { useEffect, useRef } from '../vendor/preact.js';

/**
 * A key (`n`, `/`, `Delete`, `Ctrl+Enter`, or two after each other: `g z`), what it does in words, and who does it.
 * @typedef {[key: string, what: string, act: (event: KeyboardEvent) => void]} Key
 */

/** The keys of what is on the screen, the latest last. @type {Set<{ keys: Key[], isDialog: boolean }>} */
const layers = new Set();

/** The first of two keys. */
let first = '';

/** Takes keys as long as the component is there. Those of dialogs alone count while one is open. @param {Key[]} keys @param {boolean} [isDialog] */
export function useKeys(keys, isDialog = false) {
  const layer = useRef(/** @type {{ keys: Key[], isDialog: boolean } | null} */ (null));
  if (!layer.current) layer.current = { keys, isDialog };
  layer.current.keys = keys;
  useEffect(() => {
    const mine = layer.current;
    if (!mine) return undefined;
    layers.add(mine);
    return () => {
      layers.delete(mine);
    };
  }, []);
}

/** What can be pressed now. @returns {Key[]} */
export const keysNow = () => [...layers].filter((layer) => !layer.isDialog).flatMap((layer) => layer.keys);

/** Whether what is typed goes into a field. @param {EventTarget | null} target */
const isField = (target) => target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) && /** @type {any} */ (target).type !== 'checkbox');

/** The name of what was pressed. @param {KeyboardEvent} event */
const nameOf = (event) => (event.ctrlKey || event.metaKey ? 'Ctrl+' : '') + (event.altKey ? 'Alt+' : '') + event.key;

document.addEventListener('keydown', (event) => {
  const name = nameOf(event);
  if (isField(event.target) && !name.startsWith('Ctrl+')) return;
  const isOpen = document.querySelector('dialog[open]') !== null;
  const able = [...layers].filter((layer) => layer.isDialog === isOpen).reverse();
  const found = (/** @type {string} */ wanted) => able.flatMap((layer) => layer.keys).find(([key]) => key === wanted);
  const hit = (first && found(`${first} ${name}`)) || found(name);
  first = !first && name.length === 1 && able.some((layer) => layer.keys.some(([key]) => key.startsWith(`${name} `))) ? name : '';
  if (first) setTimeout(() => (first = ''), 1500);
  if (hit) {
    event.preventDefault();
    hit[2](event);
  }
});
