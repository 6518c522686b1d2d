// @ts-check
/**
 * What changes in a zone, RRset by RRset, before and after.
 */
import { html, useState } from '../vendor/preact.js';
import { meant } from '../logic/changes.js';
import { Button, count } from './kit.js';

/** @typedef {import('../logic/changes.js').RrsetChange} RrsetChange */
/** @typedef {import('../logic/changes.js').RecordText} RecordText */

/**
 * A diff with a line for each record: − is what goes, + is what comes.
 * @param {{ changes: RrsetChange[], empty?: string }} props
 */
export function Changes({ changes: all, empty = 'Nothing changes.' }) {
  const changes = meant(all);
  const [most, setMost] = useState(SHOWN);
  if (changes.length === 0) return html`<p class="dim">${all.length > 0 ? 'Nothing but the serial.' : empty}</p>`;
  return html`<div class="changes-frame" tabindex="0"><table class="changes">
      <thead><tr><th scope="col"><span class="hidden">Change</span></th><th scope="col">Name</th><th scope="col">Type</th>
        <th scope="col" class="number">TTL</th><th scope="col">Content</th></tr></thead>
      ${changes.slice(0, most).map(({ name, type, removed, added }) => html`<tbody key=${`${name} ${type}`}>
        ${removed.map((record, at) => html`<${Line} key=${`-${at}`} sign="−" name=${name} type=${type} record=${record} />`)}
        ${added.map((record, at) => html`<${Line} key=${`+${at}`} sign="+" name=${name} type=${type} record=${record} />`)}
      </tbody>`)}
    </table></div>
    ${changes.length > most && html`<p><${Button} small onClick=${() => setMost(most * 10)}>Show more of ${count(changes.length)} record sets</${Button}></p>`}`;
}

/** A record that comes or goes. @param {{ sign: '+' | '−', name: string, type: string, record: RecordText }} props */
const Line = ({ sign, name, type, record }) => html`<tr class=${sign === '+' ? 'added' : 'removed'}>
  <td class="sign"><span aria-hidden="true">${sign}</span><span class="hidden">${sign === '+' ? 'added' : 'removed'}</span></td>
  <td class="mono name">${name}</td><td>${type}</td>
  <td class="number">${record.ttl === null ? html`<span class="dim">default</span>` : record.ttl}</td>
  <td class="mono content">${record.content}</td></tr>`;

/** Record sets that are shown at first. */
const SHOWN = 100;
