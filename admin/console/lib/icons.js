// @ts-check
/**
 * Line icons on a grid of 16, drawn in the colour of the text.
 */
import { html } from '../vendor/preact.js';

/** @type {Record<string, string>} */
const PATHS = {
  zones: 'M2.5 3.5h11v3h-11zM2.5 9.5h11v3h-11zM5 5h.01M5 11h.01',
  history: 'M2.6 6A5.7 5.7 0 1 1 2.3 8.6M2.3 3v3.2h3.2M8 5v3.2l2.2 1.3',
  ask: 'M3.5 4.5l3 3-3 3M8.5 11.5h4',
  traffic: 'M2 9h2.5l2-5 3 8 2-5.500 1 2.500H14',
  server: 'M3 2.500h10v4.500H3zM3 9h10v4.500H3zM5.500 4.750h.01M5.500 11.250h.01M8 4.750h2.500M8 11.250h2.500',
  search: 'M7 11.500a4.500 4.500 0 1 0 0-9 4.500 4.500 0 0 0 0 9zM10.500 10.500l3 3',
  plus: 'M8 3v10M3 8h10',
  x: 'M4 4l8 8M12 4l-8 8',
  check: 'M3 8.500l3.200 3.200L13 4.500',
  alert: 'M8 2.500l6 11H2zM8 6.500v3M8 11.500h.01',
  info: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 7.500v3.500M8 5h.01',
  trash: 'M3 4.500h10M6.500 4.500v-2h3v2M4.500 4.500l.5 9h6l.5-9M6.700 7v4M9.300 7v4',
  edit: 'M3 13l.6-2.800L10.800 3l2.200 2.200-7.200 7.200zM9.500 4.300l2.200 2.200',
  download: 'M8 2.500v7.500M5 7.200l3 3 3-3M3 13h10',
  upload: 'M8 10.500V3M5 5.800l3-3 3 3M3 13h10',
  copy: 'M5.500 5.500h7.500v8H5.500zM10.500 5.500v-3H3v8h2.500',
  up: 'M8 12.500v-9M4.500 7L8 3.500 11.500 7',
  down: 'M8 3.500v9M4.500 9L8 12.500 11.500 9',
  left: 'M10 3.500L5.500 8l4.500 4.500',
  right: 'M6 3.500L10.500 8 6 12.500',
  undo: 'M3 6.500h6.500a3.500 3.500 0 0 1 0 7H6M5.500 4L3 6.500 5.500 9',
  keyboard: 'M1.500 4h13v8h-13zM4 6.500h.01M6.500 6.500h.01M9 6.500h.01M11.500 6.500h.01M5 9.500h6',
  logout: 'M6.500 2.500h-4v11h4M6 8h7.500M10.500 5l3 3-3 3',
  menu: 'M2.500 4.500h11M2.500 8h11M2.500 11.500h11',
  key: 'M5.500 13a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM7.300 8.700L13 3M10.500 5.500l2 2',
};

/** An icon, which says nothing to screen readers. @param {{ name: string }} props */
export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false"><path d=${PATHS[name]} /></svg>`;
