// @ts-check
/**
 * Keys: each screen says what its keys do, and the help lists what can be pressed now.
 */
import { useLayoutEffect, useRef } from '../vendor/preact.js';
import { keyReader } from '../logic/keys.js';

/**
 * A key (`n`, `/`, `Delete`, `Ctrl+Enter`, or two after each other: `g z`), what it does in words, and who does it.
 * @typedef {[key: string, what: string, act: (event: KeyboardEvent) => void]} Key
 */

/** The keys of what is on the screen, the latest last. @type {Set<{ keys: Key[], isDialog: boolean }>} */
const layers = new Set();

/** Which key is hit. */
const hitOf = keyReader();

/** Takes keys as long as the component is there. Those of dialogs alone count while one is open. @param {Key[]} keys @param {boolean} [isDialog] */
export function useKeys(keys, isDialog = false) {
  const layer = useRef(/** @type {{ keys: Key[], isDialog: boolean } | null} */ (null));
  if (!layer.current) layer.current = { keys, isDialog };
  layer.current.keys = keys;
  // Before the frame is drawn: who sees a screen may press its keys.
  useLayoutEffect(() => {
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
  const able = [...layers].filter((layer) => layer.isDialog === isOpen).reverse().flatMap((layer) => layer.keys);
  const hit = hitOf(name, event.timeStamp, able.map(([key]) => key));
  const found = able.find(([key]) => key === hit);
  if (found) {
    event.preventDefault();
    found[2](event);
  }
});
