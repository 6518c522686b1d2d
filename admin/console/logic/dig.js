// @ts-check
/**
 * The command with which one asks this server from a shell.
 */

/**
 * @param {string[]} addresses those that the server listens on, like `192.0.2.1:53` and `[::1]:53`
 * @param {string} host what the browser calls the server, for a server that listens on all addresses
 * @param {{ name: string, type: string }} question
 * @returns {string | null} null if it listens nowhere
 */
export function digCommand(addresses, host, { name, type }) {
  const address = addresses.find((one) => !one.startsWith('[')) ?? addresses[0];
  const [, ip, port] = /^\[?(.*?)\]?:(\d+)$/.exec(address ?? '') ?? [];
  if (!ip) return null;
  const server = ip === '0.0.0.0' || ip === '::' ? host.replace(/[[\]]/g, '') : ip;
  // A name of a zone file may have what a shell takes for its own: `*.dev`, `a\\.b`.
  const shown = /^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
  return `dig @${server} ${port === '53' ? '' : `-p ${port} `}${shown} ${type}`;
}
