// @ts-check
/**
 * What the server answers to a question, and why.
 */
import { html, useEffect, useState } from '../vendor/preact.js';
import { get } from '../lib/api.js';
import { useLoad, useTitle } from '../lib/hooks.js';
import { Badge, Button, Check, Copy, Empty, Failure, Field, Head } from '../lib/kit.js';
import { useKeys } from '../lib/keys.js';
import { useLive } from '../lib/live.js';
import { go, href } from '../lib/router.js';
import { toAscii } from '../logic/names.js';

/**
 * @typedef {{ name: string, ttl: number, class: string, type: string, data: string }} Record
 * @typedef {{ plugin: string, name: string, zone: string, serial: number | null, signed: boolean, match: string, owner: string | null,
 *   closest_encloser: string | null, holds: string | null, text: string }} Step
 */

/** The form, and the answer to what is in the address. @param {{ query: { [name: string]: string } }} props */
export function Ask({ query }) {
  useTitle(query.name ? `${query.name} ${query.type ?? 'A'}` : 'Ask');
  const [name, setName] = useState(query.name ?? '');
  const [type, setType] = useState(query.type ?? 'A');
  useEffect(() => {
    if (query.name !== undefined) setName(query.name);
    if (query.type !== undefined) setType(query.type);
  }, [query.name, query.type]);
  const [turn, setTurn] = useState(0);
  const { data: status } = useLoad((signal) => get('/api/zonda/status', { query: { fields: 'listeners' }, signal }), []);
  const { name: asked, type: askedType, do: wantsDnssec, transport, client, server } = query;
  const { data, error, isLoading, reload } = useLoad(
    async (signal) => (asked ? get('/api/zonda/explain', { query: { name: asked, type: askedType, do: wantsDnssec, transport, client, server }, signal }) : null),
    [asked, askedType, wantsDnssec, transport, client, server, turn],
  );
  useLive(reload);
  useKeys([['/', 'Go to the name', () => /** @type {any} */ (document.querySelector('main [name=name]'))?.select()]]);
  const ask = (/** @type {any} */ more = {}) => {
    if (name.trim()) go('/ask', { ...query, name: toAscii(name.trim()), type: type.trim() || 'A', ...more });
    setTurn(turn + 1);
  };
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    ask();
  };
  const fault = (/** @type {string} */ field) => error?.field?.(field);
  const servers = (status?.listeners ?? []).map((/** @type {any} */ { address }) => address);
  return html`<${Head} title="Ask" aside="what this server answers, and why" />
    <form class=${servers.length > 1 ? 'question many' : 'question'} onSubmit=${submit} novalidate>
      <${Field} label="Name" name="name" mono class="grow" placeholder="www.example.org" value=${name} onValue=${setName} error=${fault('name')} autofocus=${!query.name} />
      <${Field} label="Type" name="type" mono class="short" list="ask-types" value=${type} onValue=${(/** @type {string} */ text) => setType(text.toUpperCase())} error=${fault('type')} />
      <datalist id="ask-types">${TYPES.map((name) => html`<option key=${name} value=${name} />`)}</datalist>
      <${Field} label="Over" name="transport" control="select" value=${transport ?? 'udp'} onValue=${(/** @type {string} */ value) => ask({ transport: value === 'udp' ? undefined : value })}>
        <option value="udp">UDP</option><option value="tcp">TCP</option></${Field}>
      ${servers.length > 1 && html`<${Field} label="Listener" name="server" control="select" value=${server ?? servers[0]} onValue=${(/** @type {string} */ value) => ask({ server: value === servers[0] ? undefined : value })} error=${fault('server')}>
        ${servers.map((/** @type {string} */ address) => html`<option key=${address} value=${address}>${address}</option>`)}</${Field}>`}
      <${Field} label="As client" name="client" mono placeholder="your address" value=${client ?? ''} onChange=${(/** @type {any} */ event) => ask({ client: event.target.value.trim() || undefined })} error=${fault('client')} />
      <div class="line"><${Check} label="DNSSEC (DO)" checked=${wantsDnssec === 'true'} onValue=${(/** @type {boolean} */ on) => ask({ do: on ? 'true' : undefined })} />
        <${Button} kind="primary" type="submit">Ask</${Button}></div>
    </form>
    ${error && !Object.keys(error.fields ?? {}).length && html`<${Failure} error=${error} onRetry=${reload} />`}
    ${!asked && html`<${Empty} icon="ask" title="Ask for any name">The answer is the one that goes out over the wire. With it comes the way to it: which server block, plugin, zone and record it came from.</${Empty}>`}
    ${data && !error && html`<div class=${isLoading ? 'asked loading' : 'asked'} aria-busy=${isLoading ? 'true' : 'false'}><${Way} explained=${data} /><${Answer} explained=${data} /></div>`}`;
}

/** The message. @param {{ explained: any }} props */
function Answer({ explained: { question, answer } }) {
  const [isText, setIsText] = useState(false);
  const dig = digCommand(question);
  if (!answer) return html`<section class="panel pad"><h2>Answer</h2><p>There is none: the query is dropped, or other servers have to be asked.</p><${Copy} text=${dig} /></section>`;
  const { answer: answers, authority, additional } = answer.sections;
  return html`<section class="panel pad" aria-label="Answer">
    <header class="panel-head"><h2>Answer</h2>
      <${Badge} kind=${answer.rcode === 'NOERROR' ? 'ok' : answer.rcode === 'NXDOMAIN' ? 'warn' : 'bad'}>${answer.rcode}</${Badge}>
      <ul class="flags" aria-label="Flags">${answer.flags.map((/** @type {string} */ flag) => html`<li key=${flag}><abbr title=${FLAGS[flag] ?? flag}>${flag}</abbr></li>`)}</ul>
      <span class="dim">${answer.size} octets${answer.nanos !== undefined && ` in ${(answer.nanos / 1000).toFixed(1)} µs`}</span>
      <span class="grow"></span>
      <${Button} small kind="ghost" aria-pressed=${isText ? 'true' : 'false'} onClick=${() => setIsText(!isText)}>As dig prints it</${Button}>
    </header>
    ${isText ? html`<pre class="message" tabindex="0">${answer.text}</pre>` : html`
      <${Section} title="Answer" records=${answers} /><${Section} title="Authority" records=${authority} /><${Section} title="Additional" records=${additional} />
      ${answers.length + authority.length + additional.length === 0 && html`<p class="dim">The message has no records.</p>`}`}
    <${Copy} text=${dig} />
  </section>`;
}

/** The records of a section. @param {{ title: string, records: Record[] }} props */
const Section = ({ title, records }) => records.length > 0 && html`<h3>${title} <span class="dim">${records.length}</span></h3>
  <div class="scroll"><table class="section"><thead class="hidden"><tr><th scope="col">Name</th><th scope="col">TTL</th><th scope="col">Class</th><th scope="col">Type</th><th scope="col">Data</th></tr></thead>
    <tbody>${records.map(({ name, ttl, class: of, type, data }, at) => html`<tr key=${at}><td class="mono name">${name}</td><td class="number">${ttl}</td><td class="dim">${of}</td><td>${type}</td><td class="mono content">${data}</td></tr>`)}</tbody></table></div>`;

/** The way from the question to the answer, box by box. @param {{ explained: any }} props */
function Way({ explained: { question, answer, path } }) {
  const sections = answer?.sections;
  return html`<section aria-label="The way to the answer"><ol class="way">
    <${Box} what="Question" title=${`${question.name} ${question.type}`}>over ${question.transport.toUpperCase()} from ${question.client}${question.do ? ', with DO' : ''}</${Box}>
    <${Box} what="Server block" title=${path.block ?? 'none'} isBad=${path.block === null}>${path.block === null ? 'No block is for this name.' : question.server ?? ''}</${Box}>
    ${path.plugins.length > 0 && html`<${Box} what="Plugins" title=${path.answered_by ?? 'none answered'}>
      <ul class="plugins">${path.plugins.map((/** @type {any} */ { name, did }) => html`<li key=${name} class=${name === path.answered_by ? 'did' : ''} title=${did}><b>${name}</b> ${did.startsWith('left out') ? 'left out' : did}</li>`)}</ul></${Box}>`}
    ${path.steps.map((/** @type {Step} */ step, /** @type {number} */ at) => html`<${Box} key=${`z${at}`} what=${step.serial === null ? 'Zone, not served' : 'Zone'} title=${step.zone} isBad=${step.match === 'withheld'} link=${href(`/zones/${encodeURIComponent(step.zone)}`)}>
        ${step.serial !== null && `serial ${step.serial}`}${step.signed ? ', signed' : ''}</${Box}>
      <${Box} key=${`m${at}`} what="Match" title=${MATCHES[step.match] ?? step.match} isBad=${step.match === 'none' || step.match === 'withheld'}>${step.text}</${Box}>`)}
    <${Box} what="Answer" title=${answer ? answer.rcode : 'none'} isBad=${!answer || !['NOERROR', 'NXDOMAIN'].includes(answer.rcode)}>
      ${sections && (Object.entries(sections).filter(([, records]) => records.length > 0).map(([name, records]) => `${records.length} in ${name}`).join(', ') || 'no records')}</${Box}>
  </ol>
  ${path.proofs.length > 0 && html`<div class="panel pad"><h2>What the answer proves</h2><dl class="proofs">${path.proofs.map((/** @type {any} */ { name, type, says }) => html`<div key=${`${name} ${type}`}>
    <dt><span class="mono">${name}</span> ${type}</dt>${says.map((/** @type {string} */ text) => html`<dd key=${text}>${text}</dd>`)}</div>`)}</dl></div>`}
  </section>`;
}

/** A station of the way. @param {{ what: string, title: string, isBad?: boolean, link?: string, children?: any }} props */
const Box = ({ what, title, isBad, link, children }) => html`<li class=${isBad ? 'box bad' : 'box'}>
  <svg class="arrow" viewBox="0 0 24 12" aria-hidden="true"><path d="M1 6h20M16 1.500L21 6l-5 4.500" /></svg>
  <span class="what">${what}</span><b class="mono">${link ? html`<a href=${link}>${breakable(title)}</a>` : breakable(title)}</b><div class="detail">${children}</div></li>`;

/** A name that breaks after its labels. @param {string} text */
const breakable = (text) => text.split(/(?<=\.)/).map((part) => html`${part}<wbr />`);

/** The same question for a shell. @param {any} question */
function digCommand({ name, type, do: wantsDnssec, transport, server }) {
  const at = server?.match(/^\[?(.*?)\]?:(\d+)$/);
  const host = at && !/^(0\.0\.0\.0|::)$/.test(at[1]) ? at[1] : '127.0.0.1';
  const port = at && at[2] !== '53' ? ` -p ${at[2]}` : '';
  return `dig @${host}${port} ${name} ${type} +norecurse${wantsDnssec ? ' +dnssec' : ''}${transport === 'tcp' ? ' +tcp' : ''}`;
}

/** What flags of a message say. @type {{ [flag: string]: string }} */
const FLAGS = {
  qr: 'an answer',
  aa: 'authoritative answer',
  tc: 'truncated: ask over TCP',
  rd: 'recursion desired',
  ra: 'recursion available',
  ad: 'authentic data',
  cd: 'checking disabled',
};

/** How a name matched. @type {{ [match: string]: string }} */
const MATCHES = { exact: 'exact name', wildcard: 'wildcard', cut: 'zone cut', dname: 'DNAME', none: 'no such name', withheld: 'zone is withheld' };

/** Types that are offered; any other can be written, TYPE65280 too. */
const TYPES = ['A', 'AAAA', 'ANY', 'CAA', 'CNAME', 'DNSKEY', 'DS', 'HTTPS', 'LOC', 'MX', 'NAPTR', 'NS', 'NSEC3PARAM', 'PTR', 'SOA', 'SRV', 'SSHFP', 'SVCB', 'TLSA', 'TXT'];
