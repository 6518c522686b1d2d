// @ts-check
// Changes of a zone as people read them.

/**
 * @typedef {{ ttl: number | null, content: string }} RecordText
 * @typedef {{ name: string, type: string, removed: RecordText[], added: RecordText[] }} RrsetChange
 */

/**
 * The changes without that of the serial, which every change has.
 * @param {RrsetChange[]} changes
 */
export function meant(changes) {
  return changes.filter((change) => !isSerialAlone(change));
}

/** Whether nothing but the serial of an SOA record changes. @param {RrsetChange} change */
function isSerialAlone({ type, removed, added }) {
  if (type !== 'SOA' || removed.length !== 1 || added.length !== 1 || removed[0].ttl !== added[0].ttl) return false;
  const [before, after] = [removed[0], added[0]].map(({ content }) => content.split(' '));
  return before.every((word, at) => at === SERIAL || word === after[at]);
}

/**
 * How many records came and went in a change of the history, without the SOA record if there is one before and after.
 * @param {{ from: number | null, serial: number | null, added: number, removed: number }} change
 */
export function counts({ from, serial, added, removed }) {
  const both = from !== null && serial !== null && added > 0 && removed > 0 ? 1 : 0;
  return { added: added - both, removed: removed - both };
}

/** Where the serial stands in an SOA record. */
const SERIAL = 2;
