// @ts-check
/**
 * Who changed what, when and over which API; two serials side by side; the way back.
 */
import { html, useState } from '../vendor/preact.js';
import { call, get, zonePath } from '../lib/api.js';
import { counts } from '../logic/changes.js';
import { Changes } from '../lib/changes.js';
import { useLoad, useTitle } from '../lib/hooks.js';
import { focusSearch, Badge, Button, Check, count, Dialog, Empty, Failure, Head, IconButton, Notice, Pager, Search, SkeletonRows, When } from '../lib/kit.js';
import { Icon } from '../lib/icons.js';
import { useKeys } from '../lib/keys.js';
import { useLive } from '../lib/live.js';
import { amend, href } from '../lib/router.js';
import { toast } from '../lib/toast.js';
import { toUnicode } from '../logic/names.js';

/**
 * @typedef {object} Change
 * @property {string} [zone]
 * @property {number | null} from
 * @property {number | null} serial
 * @property {string} at
 * @property {string} who
 * @property {string} api
 * @property {number} added
 * @property {number} removed
 * @property {boolean} complete
 */

/** The changes of all zones, or those of the zone in the address. @param {{ query: Record<string, string> }} props */
export const History = ({ query }) => (query.zone ? html`<${ZoneHistory} key=${query.zone} zone=${query.zone} query=${query} />` : html`<${Recent} query=${query} />`);

/** The newest changes of all zones. @param {{ query: Record<string, string> }} props */
function Recent({ query }) {
  useTitle('History');
  const [most, setMost] = useState(PAGE);
  const { data, error, isLoading, reload } = useLoad((signal) => get('/api/zonda/history', { query: { perPage: most }, signal }), [most]);
  useLive(reload);
  useKeys([['/', 'Filter the changes', focusSearch]]);
  const search = query.search ?? '';
  const all = /** @type {Change[]} */ (data?.history ?? []);
  const wanted = search.toLowerCase();
  const shown = all.filter(({ zone, who, api }) => [zone, toUnicode(zone ?? ''), who, apiName(api)].some((text) => text?.toLowerCase().includes(wanted)));
  const hasMore = all.length === most && most < MOST;
  return html`<${Head} title="History" aside=${data && `the last ${count(all.length)} changes of all zones`}>
      <${Search} label="Filter by zone, person or API" value=${search} onValue=${(/** @type {string} */ text) => amend({ search: text })} />
    </${Head}>
    ${error && html`<${Failure} error=${error} onRetry=${reload} />`}
    ${data && all.length === 0 && html`<${Empty} icon="history" title="Nothing has changed yet" actions=${html`<${Button} href=${href('/zones')}>Go to the zones</${Button}>`}>Every change of a zone will be listed here: who made it, when, and over which API.</${Empty}>`}
    ${(isLoading || all.length > 0) && html`<div class="panel table history recent"><table>
      <thead><tr><th scope="col" class="when">When</th><th scope="col">Zone</th><th scope="col">Serial</th><th scope="col">Who</th><th scope="col" class="wide-only">API</th><th scope="col" class="number wide-only">Records</th></tr></thead>
      <tbody>${!data && html`<${SkeletonRows} columns=${6} />`}
        ${shown.map((change) => html`<tr key=${`${change.zone} ${change.from} ${change.serial} ${change.at}`}>
          <td class="when"><${When} at=${change.at} /></td>
          <td class="mono zone"><a href=${href('/history', { zone: change.zone, serial: change.serial })}>${toUnicode(change.zone ?? '')}</a></td>
          <td class="serials"><${Serials} change=${change} /></td><td class="who">${change.who}</td>
          <td class="wide-only">${apiName(change.api)}</td><td class="number wide-only"><${Counts} change=${change} /></td></tr>`)}
        ${data && shown.length === 0 && html`<tr><td colspan="6" class="dim">No change fits the filter.</td></tr>`}
      </tbody></table></div>`}
    ${hasMore && html`<p class="more"><${Button} busy=${isLoading} onClick=${() => setMost(MOST)}>Show older changes</${Button}></p>`}
    ${all.length === MOST && html`<p class="dim more">Older changes are in the history of each zone.</p>`}`;
}

/** The changes of one zone. @param {{ zone: string, query: Record<string, string> }} props */
function ZoneHistory({ zone, query }) {
  useTitle(`History of ${zone}`);
  const page = Number(query.page) || 1;
  const { data, error, isLoading, reload } = useLoad((signal) => get(zonePath(zone, 'history'), { query: { page, perPage: PAGE }, signal }), [zone, page]);
  useLive(reload, zone);
  const [picked, setPicked] = useState(/** @type {number[]} */ ([]));
  const [back, setBack] = useState(/** @type {number | null} */ (null));
  const [compares, setCompares] = useState(false);
  const changes = /** @type {Change[]} */ (data?.history ?? []);
  const isNewest = (/** @type {number} */ at) => page === 1 && at === 0;
  const pick = (/** @type {number} */ serial, /** @type {boolean} */ on) => setPicked(on ? [...picked.slice(-1), serial] : picked.filter((other) => other !== serial));
  const open = query.serial === undefined ? null : Number(query.serial);
  return html`<${Head} title=${toUnicode(zone)} back=${{ href: href('/history'), text: 'History' }} aside=${data && `${count(data.totalItems)} changes`}>
      <${Button} icon="zones" href=${href(`/zones/${encodeURIComponent(zone)}`)}>Records</${Button}>
      <${Button} disabled=${picked.length !== 2} onClick=${() => setCompares(true)} title="Tick two serials in the list">Compare${picked.length === 2 ? ` ${Math.min(...picked)} and ${Math.max(...picked)}` : ' two serials'}</${Button}>
    </${Head}>
    ${error && html`<${Failure} error=${error} onRetry=${reload} />`}
    ${(isLoading || data) && html`<div class="panel table history"><table>
      <thead><tr><th scope="col" class="tick"><span class="hidden">Compare</span></th><th scope="col">Serial</th><th scope="col" class="when">When</th><th scope="col">Who</th><th scope="col" class="wide-only">API</th><th scope="col" class="number wide-only">Records</th><th scope="col" class="back-head"><span class="hidden">Go back</span></th></tr></thead>
      <tbody>${!data && html`<${SkeletonRows} columns=${7} />`}
        ${changes.map((change, at) => html`<${Row} key=${`${change.from} ${change.serial} ${change.at}`} zone=${zone} change=${change}
          isNewest=${isNewest(at)} isOpen=${change.serial !== null && open === change.serial}
          onOpen=${() => amend({ serial: open === change.serial ? undefined : change.serial })}
          isPicked=${change.serial !== null && picked.includes(change.serial)} onPick=${(/** @type {boolean} */ on) => change.serial !== null && pick(change.serial, on)}
          onBack=${() => setBack(change.serial)} />`)}
      </tbody></table></div>`}
    ${data && data.totalPages > 1 && html`<${Pager} page=${page} pages=${data.totalPages} total=${data.totalItems} perPage=${PAGE} onPage=${(/** @type {number} */ to) => amend({ page: to, serial: undefined })} />`}
    ${compares && html`<${Compare} zone=${zone} from=${Math.min(...picked)} to=${Math.max(...picked)} onClose=${() => setCompares(false)} />`}
    ${back !== null && html`<${Back} zone=${zone} serial=${back} onClose=${() => setBack(null)} onDone=${reload} />`}`;
}

/**
 * A change, and what it changed when it is opened.
 * @param {{ zone: string, change: Change, isNewest: boolean, isOpen: boolean, onOpen: () => void, isPicked: boolean, onPick: (on: boolean) => void, onBack: () => void }} props
 */
function Row({ zone, change, isNewest, isOpen, onOpen, isPicked, onPick, onBack }) {
  const { serial } = change;
  return html`<tr class=${isOpen ? 'open' : ''}>
      <td class="tick">${serial !== null && html`<${Check} hideLabel label=${`Compare serial ${serial}`} checked=${isPicked} onValue=${onPick} />`}</td>
      <td class="serials">${serial === null ? html`<${Serials} change=${change} />` : html`<button type="button" class="fold" aria-expanded=${isOpen ? 'true' : 'false'} onClick=${onOpen}>
        <${Icon} name="right" /><${Serials} change=${change} /></button>`} ${isNewest && serial !== null && html`<${Badge} kind="ok">now</${Badge}>`}</td>
      <td class="when"><${When} at=${change.at} /></td><td class="who">${change.who}</td><td class="wide-only">${apiName(change.api)}</td>
      <td class="number wide-only"><${Counts} change=${change} /></td>
      <td class="end">${serial !== null && !isNewest && html`<${IconButton} icon="undo" label=${`Go back to serial ${serial}`} onClick=${onBack} />`}</td>
    </tr>
    ${isOpen && html`<tr class="inside"><td colspan="7"><div class="within"><${Whole} zone=${zone} serial=${serial} /></div></td></tr>`}`;
}

/** What a change changed. @param {{ zone: string, serial: number | null }} props */
function Whole({ zone, serial }) {
  const { data, error, reload } = useLoad((signal) => get(zonePath(zone, 'history', String(serial)), { signal }), [zone, serial]);
  if (error) return html`<${Failure} error=${error} onRetry=${reload} />`;
  if (!data) return html`<p class="dim">Loading …</p>`;
  return html`<${Changes} changes=${data.changes} empty=${data.complete ? 'Nothing changed.' : 'This change was too big for the history to keep its records.'} />`;
}

/** What lies between two serials. @param {{ zone: string, from: number, to: number, onClose: () => void }} props */
function Compare({ zone, from, to, onClose }) {
  const { data, error, reload } = useLoad((signal) => get(zonePath(zone, 'diff'), { query: { from, to }, signal }), [zone, from, to]);
  return html`<${Dialog} wide title=${`From ${from} to ${to}`} onClose=${onClose} actions=${html`<${Button} onClick=${onClose}>Close</${Button}>`}>
    ${error && html`<${Failure} error=${error} onRetry=${reload} />`}
    ${data ? html`<${Changes} changes=${data.changes} empty="The zone is the same at both serials." />` : !error && html`<p class="dim">Loading …</p>`}
  </${Dialog}>`;
}

/**
 * Takes a zone back to a serial, after a look at what that changes. If somebody else edits the zone meanwhile, there is
 * something new to look at first.
 * @param {{ zone: string, serial: number, onClose: () => void, onDone: () => void }} props
 */
function Back({ zone, serial, onClose, onDone }) {
  const revert = (/** @type {any} */ options) => call('POST', zonePath(zone, 'revert'), { body: { serial }, ...options });
  const { data, error, reload } = useLoad((signal) => revert({ query: { dry_run: true }, signal }), [zone, serial]);
  const [isBusy, setIsBusy] = useState(false);
  const [refused, setRefused] = useState(/** @type {any} */ (null));
  const isSame = data && data.added + data.removed === 0;
  const submit = async () => {
    if (!data || isBusy || isSame) return;
    setIsBusy(true);
    setRefused(null);
    try {
      const done = await revert({ serial: data.from });
      toast(`${zone} is again as it was at serial ${serial}, under the new serial ${done.serial}.`);
      onDone();
      onClose();
    } catch (why) {
      setRefused(why);
      setIsBusy(false);
      reload();
    }
  };
  return html`<${Dialog} wide title=${`Go back to serial ${serial}`} onClose=${onClose} onSubmit=${submit}
    actions=${html`<${Button} onClick=${onClose}>Cancel</${Button}><${Button} kind="primary" type="submit" busy=${isBusy} disabled=${!data || isSame}>Go back</${Button}>`}>
    ${error && html`<${Failure} error=${error} onRetry=${reload} />`}
    ${refused && html`<${Notice} kind="bad">${refused.status === 412 ? 'Somebody else has changed the zone meanwhile. Below is what going back changes now.' : refused.message}</${Notice}>`}
    ${data && !isSame && html`<p>These changes are made to the zone as it is now, under a new serial. History keeps what was there.</p>`}
    ${data ? html`<${Changes} changes=${data.changes ?? []} empty=${isSame ? 'The zone is as it was at this serial already.' : 'The change is too big to be shown.'} />` : !error && html`<p class="dim">Loading …</p>`}
  </${Dialog}>`;
}

/** Which serial led to which. @param {{ change: Change }} props */
function Serials({ change: { from, serial } }) {
  if (serial === null) return html`<span>removed <span class="dim from">from ${from}</span></span>`;
  return html`<span>${serial} <span class="dim from">${from === null ? 'new' : `from ${from}`}</span></span>`;
}

/** How many records came and went; the SOA record is in each change. @param {{ change: Change }} props */
function Counts({ change }) {
  const { added, removed } = counts(change);
  if (!change.complete) return html`<span class="dim" title="The change was too big for the history to keep its records.">many</span>`;
  if (added + removed === 0) return html`<span class="dim">serial</span>`;
  return html`<span class="plus">+${count(added)}</span> <span class="minus">−${count(removed)}</span>`;
}

/** The API by its name for people. @param {string} api */
const apiName = (api) => ({ native: 'zonda', pocketbase: 'PocketBase', import: 'import' })[api] ?? api;

/** Changes on a page. */
const PAGE = 50;

/** Changes of all zones that can be had at once. */
const MOST = 1000;
