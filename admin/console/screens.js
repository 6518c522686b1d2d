// @ts-check
/**
 * The table of screens: a screen is a file in `screens/` and a row here.
 */
import { Ask } from './screens/ask.js';
import { History } from './screens/history.js';
import { Server } from './screens/server.js';
import { Traffic } from './screens/traffic.js';
import { Zone } from './screens/zone.js';
import { Zones } from './screens/zones.js';

/**
 * @typedef {object} Row
 * @property {string} path what the address is; `:name` stands for a part of it
 * @property {any} screen the component, which gets `params` of the path and `query`
 * @property {string} [nav] its name in the navigation; without one it is not there
 * @property {string} [icon]
 * @property {string} [key] goes there after `g`
 */

/** @type {Row[]} */
export const SCREENS = [
  { path: '/zones', screen: Zones, nav: 'Zones', icon: 'zones', key: 'z' },
  { path: '/zones/:zone', screen: Zone },
  { path: '/history', screen: History, nav: 'History', icon: 'history', key: 'h' },
  { path: '/ask', screen: Ask, nav: 'Ask', icon: 'ask', key: 'a' },
  { path: '/traffic', screen: Traffic, nav: 'Traffic', icon: 'traffic', key: 't' },
  { path: '/server', screen: Server, nav: 'Server', icon: 'server', key: 's' },
];
