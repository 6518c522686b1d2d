// @ts-check
/**
 * The parts that all screens are made of.
 */
import { html, useEffect, useLayoutEffect, useRef, useState } from '../vendor/preact.js';
import { useId } from './hooks.js';
import { Icon } from './icons.js';
import { toast } from './toast.js';

/**
 * A button, or a link that looks like one if it has `href`.
 * @param {{ kind?: 'plain' | 'primary' | 'danger' | 'ghost', icon?: string, busy?: boolean, small?: boolean, href?: string, children?: any, [rest: string]: any }} props
 */
export function Button({ kind = 'plain', icon, busy, small, href, children, class: more = '', ...rest }) {
  const name = `button ${kind} ${small ? 'small' : ''} ${busy ? 'busy' : ''} ${more}`;
  const inside = html`${icon && html`<${Icon} name=${icon} />`}${children !== undefined && html`<span>${children}</span>`}`;
  if (href) return html`<a class=${name} href=${href} ...${rest}>${inside}</a>`;
  return html`<button type="button" class=${name} aria-busy=${busy ? 'true' : undefined} ...${rest} disabled=${busy || rest.disabled}>${inside}</button>`;
}

/** A button that is an icon alone; `label` says what it does. @param {{ icon: string, label: string, [rest: string]: any }} props */
export const IconButton = ({ icon, label, ...rest }) => html`<button type="button" class="icon-button" aria-label=${label} title=${label} ...${rest}><${Icon} name=${icon} /></button>`;

/**
 * A field with its label, a hint, and what is wrong with it. `control` is `input`, `textarea` or `select` (then the
 * options are the children); everything else goes to the control itself.
 * @param {{ label: string, value?: any, onValue?: (value: string) => void, hint?: any, error?: any, warning?: any, control?: string, mono?: boolean, suffix?: string, children?: any, [rest: string]: any }} props
 */
export function Field({ label, value, onValue, hint, error, warning, control = 'input', mono, suffix, children, class: more = '', ...rest }) {
  const id = useId();
  const said = error || warning || hint;
  const body = html`<${control} id=${id} class=${mono ? 'mono' : ''} value=${value} aria-invalid=${error ? 'true' : undefined}
      aria-describedby=${said ? `${id}-said` : undefined} autocomplete="off" spellcheck="false"
      onInput=${(/** @type {any} */ event) => onValue?.(event.target.value)} ...${rest}>${children}</${control}>`;
  return html`<div class="field ${error ? 'wrong' : warning ? 'doubtful' : ''} ${more}">
    <label for=${id}>${label}</label>
    ${suffix ? html`<div class="with-suffix">${body}<span class="suffix" title=${suffix}>${suffix}</span></div>` : body}
    <div class="said" id="${id}-said" aria-live="polite">${said}</div>
  </div>`;
}

/** A box to tick. @param {{ label: any, checked: boolean, onValue: (value: boolean) => void, hideLabel?: boolean, mixed?: boolean, [rest: string]: any }} props */
export function Check({ label, checked, onValue, hideLabel, mixed, ...rest }) {
  const box = useRef(/** @type {any} */ (null));
  useLayoutEffect(() => {
    if (box.current) box.current.indeterminate = Boolean(mixed);
  });
  return html`<label class="check"><input type="checkbox" ref=${box} checked=${checked} ...${rest} aria-label=${hideLabel ? label : undefined}
    onChange=${(/** @type {any} */ event) => onValue(event.target.checked)} />${!hideLabel && html`<span>${label}</span>`}</label>`;
}

/**
 * A field to search in, which `/` goes to. @param {{ value: string, onValue: (value: string) => void, label: string, [rest: string]: any }} props
 */
export function Search({ value, onValue, label, ...rest }) {
  return html`<div class="search"><${Icon} name="search" />
    <input type="search" aria-label=${label} placeholder=${label} value=${value} autocomplete="off" spellcheck="false" data-search
      onInput=${(/** @type {any} */ event) => onValue(event.target.value)}
      onKeyDown=${(/** @type {any} */ event) => event.key === 'Escape' && (value ? onValue('') : event.target.blur())} ...${rest} />
    <kbd aria-hidden="true">/</kbd></div>`;
}

/** Puts the cursor into the search field of the page. */
export const focusSearch = () => /** @type {HTMLInputElement | null} */ (document.querySelector('main [data-search]'))?.select();

/**
 * A dialog over the page. The browser keeps the focus inside, closes it with Escape, and gives the focus back.
 * `onSubmit` makes it a form.
 * @param {{ title: string, onClose: () => void, onSubmit?: () => void, actions?: any, wide?: boolean, children?: any }} props
 */
export function Dialog({ title, onClose, onSubmit, actions, wide, children }) {
  const dialog = useRef(/** @type {any} */ (null));
  const id = useId('d');
  useLayoutEffect(() => {
    const before = /** @type {HTMLElement | null} */ (document.activeElement);
    const shown = dialog.current;
    shown.showModal();
    shown.querySelector('[autofocus]')?.focus();
    return () => {
      shown.close();
      if (before?.isConnected) before.focus();
    };
  }, []);
  const cancel = (/** @type {Event} */ event) => {
    event.preventDefault();
    onClose();
  };
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    onSubmit?.();
  };
  return html`<dialog ref=${dialog} class=${wide ? 'wide' : ''} aria-labelledby=${id} onCancel=${cancel}>
    <form method="dialog" onSubmit=${submit} novalidate>
      <header><h2 id=${id}>${title}</h2><${IconButton} icon="x" label="Close" onClick=${onClose} /></header>
      <div class="body">${children}</div>
      ${actions && html`<footer>${actions}</footer>`}
    </form>
  </dialog>`;
}

/** A head of a column that can be sorted by; `sort` is like `-updated`. @param {{ name: string, sort: string, onSort: (sort: string) => void, descends?: boolean, children?: any, [rest: string]: any }} props */
export function SortHead({ name, sort, onSort, descends, children, ...rest }) {
  const isUp = sort === name;
  const isDown = sort === `-${name}`;
  const next = isUp ? `-${name}` : isDown ? name : descends ? `-${name}` : name;
  return html`<th scope="col" aria-sort=${isUp ? 'ascending' : isDown ? 'descending' : undefined} ...${rest}>
    <button type="button" class="sort" onClick=${() => onSort(next)}>${children}<span class="arrow">${(isUp || isDown) && html`<${Icon} name=${isUp ? 'up' : 'down'} />`}</span></button>
  </th>`;
}

/** Which page of a list, and the way to others. @param {{ page: number, pages: number, total: number, perPage: number, onPage: (page: number) => void, what?: string }} props */
export function Pager({ page, pages, total, perPage, onPage, what = '' }) {
  const from = total === 0 ? 0 : (page - 1) * perPage + 1;
  return html`<nav class="pager" aria-label="Pages">
    <span class="dim">${count(from)}–${count(Math.min(total, page * perPage))} of ${count(total)} ${what}</span>
    <${IconButton} icon="left" label="Previous page" disabled=${page <= 1} onClick=${() => onPage(page - 1)} />
    <${IconButton} icon="right" label="Next page" disabled=${page >= pages} onClick=${() => onPage(page + 1)} />
  </nav>`;
}

/** What is shown where there is nothing yet: what this is, and what to do. @param {{ icon?: string, title: string, children?: any, actions?: any }} props */
export const Empty = ({ icon, title, children, actions }) => html`<div class="empty">
  ${icon && html`<${Icon} name=${icon} />`}<h2>${title}</h2>${children && html`<p>${children}</p>`}
  ${actions && html`<div class="actions">${actions}</div>`}</div>`;

/** Rows that hold the place of those that are loading. @param {{ rows?: number, columns?: number }} props */
export const SkeletonRows = ({ rows = 8, columns = 4 }) => Array.from({ length: rows }, (_, row) => html`<tr key=${`s${row}`} class="skeleton" aria-hidden="true">
  ${Array.from({ length: columns }, (__, column) => html`<td key=${column}><span class="w${(row * 3 + column * 5) % 4}" /></td>`)}</tr>`);

/** A short mark. @param {{ kind?: 'ok' | 'bad' | 'warn' | 'plain' | 'accent', children?: any, title?: string }} props */
export const Badge = ({ kind = 'plain', children, title }) => html`<span class="badge ${kind}" title=${title}>${children}</span>`;

/** Something to read before going on. @param {{ kind?: 'info' | 'bad' | 'warn' | 'ok', children?: any, actions?: any }} props */
export const Notice = ({ kind = 'info', children, actions }) => html`<div class="notice ${kind}" role=${kind === 'bad' ? 'alert' : 'note'}>
  <${Icon} name=${kind === 'info' ? 'info' : kind === 'ok' ? 'check' : 'alert'} /><div>${children}</div>${actions && html`<div class="actions">${actions}</div>`}</div>`;

/** An error in words with a way on. @param {{ error: any, onRetry?: () => void }} props */
export const Failure = ({ error, onRetry }) => html`<${Notice} kind="bad" actions=${onRetry && html`<${Button} small onClick=${onRetry}>Try again</${Button}>`}>${error.message}</${Notice}>`;

/** Text to copy with one click. @param {{ text: string }} props */
export function Copy({ text }) {
  const copy = () => navigator.clipboard?.writeText(text).then(
    () => toast('Copied.'),
    () => toast('The browser does not allow copying here. Select the text instead.', 'bad'),
  );
  return html`<div class="copy"><code tabindex="0">${text}</code><${IconButton} icon="copy" label="Copy" onClick=${copy} /></div>`;
}

/** A point in time in the reader's zone, exact on hover; drawn anew each half minute. @param {{ at: string | null | undefined }} props */
export function When({ at }) {
  const [, setTurn] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setTurn((/** @type {number} */ old) => old + 1), 30_000);
    return () => clearInterval(timer);
  }, []);
  if (!at) return html`<span class="dim">–</span>`;
  const date = new Date(at.replace(' ', 'T'));
  return html`<time datetime=${date.toISOString()} title=${EXACT.format(date)}>${ago(date)}</time>`;
}

/** @param {Date} date */
function ago(date) {
  const seconds = (Date.now() - date.getTime()) / 1000;
  if (seconds < 45) return 'just now';
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 86_400) return `${Math.round(seconds / 3600)} h ago`;
  return DAY.format(date);
}

const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'long' });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const NUMBER = new Intl.NumberFormat();

/** A number for people. @param {number | null | undefined} value */
export const count = (value) => (value === null || value === undefined ? '–' : NUMBER.format(value));

/** The head of a screen: where one is, and what can be done. @param {{ title: any, back?: { href: string, text: string }, aside?: any, children?: any }} props */
export const Head = ({ title, back, aside, children }) => html`<header class="screen-head">
  <div class="titles">${back && html`<a class="back" href=${back.href}><${Icon} name="left" />${back.text}</a>`}
    <h1 tabindex="-1">${title}</h1>${aside && html`<div class="aside">${aside}</div>`}</div>
  <div class="actions">${children}</div></header>`;
