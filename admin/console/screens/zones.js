// @ts-check
/**
 * The list of zones: searched, sorted and cut by the server, so that it is quick with a hundred thousand of them.
 */
import { html, useEffect, useState } from '../vendor/preact.js';
import { get } from '../lib/api.js';
import { useLoad, useSettled, useTitle } from '../lib/hooks.js';
import { useKeys } from '../lib/keys.js';
import { Badge, Button, Empty, Failure, Head, Notice, Pager, Search, SkeletonRows, SortHead, When, count, focusSearch } from '../lib/kit.js';
import { useLive } from '../lib/live.js';
import { amend, href } from '../lib/router.js';
import { toAscii, toUnicode } from '../logic/names.js';
import { NewZone } from './new-zone.js';

/** @param {{ query: Record<string, string> }} props */
export function Zones({ query }) {
  useTitle('Zones');
  const [typed, setTyped] = useState(query.search ?? '');
  const [isMaking, setIsMaking] = useState(false);
  const search = useSettled(toAscii(typed.trim()));
  const sort = query.sort ?? 'zone';
  const page = Number(query.page) || 1;
  const { data, error, isLoading, reload } = useLoad(
    (signal) => get('/api/zonda/zones', { query: { search, sort, page, perPage: PER_PAGE }, signal }),
    [search, sort, page],
  );
  useLive(reload);
  const loading = useLoadProgress();
  const find = (/** @type {string} */ text) => {
    setTyped(text);
    amend({ search: text, page: '' });
  };
  const make = () => setIsMaking(true);
  useKeys([
    ['/', 'Search zones', focusSearch],
    ['n', 'New zone', make],
  ]);
  const head = (/** @type {string} */ name, /** @type {string} */ text, /** @type {any} */ more) => html`<${SortHead} name=${name} sort=${sort} ...${more}
    onSort=${(/** @type {string} */ by) => amend({ sort: by, page: '' })}>${text}</${SortHead}>`;
  const isNew = data && data.totalItems === 0 && search === '';
  return html`<${Head} title="Zones" aside=${html`<span>${data ? `${count(data.totalItems)} ${search ? 'found' : data.totalItems === 1 ? 'zone' : 'zones'}` : ' '}</span>`}>
      <${Button} kind="primary" icon="plus" onClick=${make}>New zone</${Button}>
    </${Head}>
    ${loading !== null && html`<${Notice}>Zones are being loaded after the start: ${loading} % of the records so far. Names of the others are answered with SERVFAIL until they are there.</${Notice}>`}
    ${error && html`<${Failure} error=${error} onRetry=${reload} />`}
    ${isNew
      ? html`<div class="panel"><${Empty} icon="zones" title="No zones yet" actions=${html`<${Button} kind="primary" icon="plus" onClick=${make}>New zone</${Button}>`}>
          A zone holds the records of a domain, like example.org. Begin with an empty one, or bring a zone file that you have. What you write here is answered at once.</${Empty}></div>`
      : html`<div class="toolbar"><${Search} label="Search zones" value=${typed} onValue=${find} /></div>
        <div class="panel table zones ${isLoading && data ? 'stale' : ''}" aria-busy=${isLoading}><table>
          <thead><tr>${head('zone', 'Zone', {})}${head('records', 'Records', { class: 'number', descends: true })}${head('serial', 'Serial', { class: 'number wide-only', descends: true })}
            ${head('updated', 'Last change', { descends: true })}<th scope="col" class="wide-only">By</th><th scope="col" class="wide-only">State</th></tr></thead>
          <tbody>${data ? data.zones.map((/** @type {any} */ zone) => html`<${Line} key=${zone.zone} zone=${zone} />`) : !error && html`<${SkeletonRows} columns=${6} rows=${12} />`}
            ${data && data.zones.length === 0 && html`<tr><td colspan="6"><${Empty} title="No zone has that in its name" actions=${html`<${Button} onClick=${() => find('')}>Clear the search</${Button}>`} /></td></tr>`}
          </tbody>
        </table></div>
        ${data && data.totalPages > 1 && html`<${Pager} page=${page} pages=${data.totalPages} total=${data.totalItems} perPage=${PER_PAGE} what="zones" onPage=${(/** @type {number} */ to) => {
          amend({ page: to });
          scrollTo(0, 0);
        }} />`}`}
    ${isMaking && html`<${NewZone} onClose=${() => setIsMaking(false)} />`}`;
}

/** A row. @param {{ zone: any }} props */
function Line({ zone }) {
  const [kind, text, title] = STATES[zone.state] ?? ['plain', zone.state, ''];
  return html`<tr>
    <td class="name"><a class="mono" href=${href(`/zones/${encodeURIComponent(zone.zone)}`)} title=${zone.zone}>${toUnicode(zone.zone)}</a>
      ${zone.state !== 'served' && html` <span class="narrow-only"><${Badge} kind=${kind}>${text}</${Badge}></span>`}</td>
    <td class="number">${count(zone.records)}</td><td class="number wide-only">${zone.serial ?? '–'}</td>
    <td class="nowrap"><${When} at=${zone.updated} /></td>
    <td class="wide-only dim by" title=${zone.api ? `over the ${DOORS[zone.api] ?? zone.api}` : undefined}>${zone.who ?? '–'}</td>
    <td class="wide-only"><${Badge} kind=${kind} title=${title}>${text}</${Badge}></td></tr>`;
}

/** How much of the records is loaded, in per cent, while some are not; asked once a second until then. */
function useLoadProgress() {
  const [percent, setPercent] = useState(/** @type {number | null} */ (null));
  useEffect(() => {
    let timer = 0;
    const ask = async () => {
      const status = await get('/api/zonda/status', { query: { fields: 'loading' } }).catch(() => null);
      const loading = status?.loading;
      setPercent(loading && !loading.done ? Math.floor((100 * loading.records_loaded) / Math.max(1, loading.records)) : null);
      if (loading && !loading.done) timer = setTimeout(ask, 1000);
    };
    void ask();
    return () => clearTimeout(timer);
  }, []);
  return percent;
}

/** @type {Record<string, [string, string, string]>} */
const STATES = {
  served: ['ok', 'Served', 'The zone is sound and answered.'],
  withheld: ['bad', 'Withheld', 'Its records are damaged: it is not answered until it is restored, replaced or removed.'],
  damaged: ['bad', 'Damaged', 'Not even its header can be read: restore, replace or remove it.'],
};

/** Names of the APIs, for people. @type {Record<string, string>} */
export const DOORS = { native: 'console or the API of zonda', pocketbase: 'API of PocketBase', import: 'import of a zone file' };

const PER_PAGE = 50;
