// @ts-check
/**
 * Short messages at the foot of the page, read out by screen readers.
 */
import { html, useEffect, useState } from '../vendor/preact.js';
import { Icon } from './icons.js';

/** @type {{ id: number, text: string, kind: 'ok' | 'bad' }[]} */
let toasts = [];
/** @type {() => void} */
let draw = () => {};
let last = 0;

/** @param {number} id */
function drop(id) {
  toasts = toasts.filter((toast) => toast.id !== id);
  draw();
}

/** Says that something is done (`ok`) or has failed (`bad`). @param {string} text @param {'ok' | 'bad'} [kind] */
export function toast(text, kind = 'ok') {
  const id = (last += 1);
  toasts = [...toasts.slice(-2), { id, text, kind }];
  draw();
  setTimeout(() => drop(id), kind === 'ok' ? 5000 : 12_000);
}

/** Where they are shown. */
export function Toasts() {
  const [, setTurn] = useState(0);
  useEffect(() => {
    draw = () => setTurn((/** @type {number} */ old) => old + 1);
  }, []);
  return html`<div class="toasts" role="status" aria-live="polite">
    ${toasts.map(({ id, text, kind }) => html`<div key=${id} class="toast ${kind}">
      <${Icon} name=${kind === 'ok' ? 'check' : 'alert'} /><span>${text}</span>
      <button class="icon-button" aria-label="Dismiss" onClick=${() => drop(id)}><${Icon} name="x" /></button>
    </div>`)}
  </div>`;
}
