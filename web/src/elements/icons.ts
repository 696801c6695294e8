/** Stroke icons on a 20 x 20 grid, decorative: the control that holds one carries the name. */

import { svg, html, type TemplateResult } from "lit";

const icon = (path: TemplateResult) => html`<svg viewBox="0 0 20 20" aria-hidden="true">${path}</svg>`;

export const play = icon(svg`<path d="M6 3.5v13l10.5-6.5z" fill="currentColor"/>`);
export const pause = icon(svg`<path d="M6 4v12M14 4v12" stroke-width="3.5"/>`);
export const stop = icon(svg`<rect x="5" y="5" width="10" height="10" rx="1" fill="currentColor"/>`);
export const sound = icon(svg`<path d="M3 8v4h3l4 3.5v-11L6 8zM13 7.5a3.5 3.5 0 0 1 0 5M15.5 5a7 7 0 0 1 0 10"/>`);
export const silent = icon(svg`<path d="M3 8v4h3l4 3.5v-11L6 8zM13 8l4 4M17 8l-4 4"/>`);
export const info = icon(svg`<path d="M3 16V9M8 16V4M13 16v-5M18 16V7"/>`);
export const inset = icon(
  svg`<rect x="2" y="4" width="16" height="12" rx="1.5"/><path d="M11 10h5v4h-5z" fill="currentColor"/>`,
);
export const expand = icon(svg`<path d="M3 8V3h5M12 3h5v5M17 12v5h-5M8 17H3v-5"/>`);
export const copy = icon(
  svg`<rect x="7" y="7" width="10" height="10" rx="1.5"/><path d="M13 4.5A1.5 1.5 0 0 0 11.5 3h-7A1.5 1.5 0 0 0 3 4.5v7A1.5 1.5 0 0 0 4.5 13"/>`,
);
export const open = icon(svg`<path d="M8 4H4v12h12v-4M11 3h6v6M17 3l-8 8"/>`);
export const trash = icon(svg`<path d="M3 5.5h14M8 5V3h4v2M5 5.5l.7 11.5h8.6L15 5.5M8.5 9v5M11.5 9v5"/>`);
export const close = icon(svg`<path d="M5 5l10 10M15 5L5 15"/>`);
export const alert = icon(svg`<path d="M10 3 2 17h16zM10 8v4M10 14.6v.1"/>`);
export const note = icon(
  svg`<path d="M8 15V4l8-1.5v11"/><circle cx="6" cy="15" r="2"/><circle cx="14" cy="13.5" r="2"/>`,
);
export const wave = icon(
  svg`<circle cx="10" cy="10" r="1.5" fill="currentColor"/><path d="M6.5 13.5a5 5 0 0 1 0-7M13.5 6.5a5 5 0 0 1 0 7M4 16a8.5 8.5 0 0 1 0-12M16 4a8.5 8.5 0 0 1 0 12"/>`,
);
export const people = icon(
  svg`<circle cx="7.5" cy="6.5" r="3"/><path d="M2 16.5a5.5 5.5 0 0 1 11 0M13 4a3 3 0 0 1 0 5.2M15 11.8a5.5 5.5 0 0 1 3 4.7"/>`,
);
export const cascade = icon(svg`<path d="M3 7h12M12 4l3 3-3 3M17 13H5M8 10l-3 3 3 3"/>`);
export const chevron = icon(svg`<path d="M7.5 5l5 5-5 5"/>`);
export const plus = icon(svg`<path d="M10 4v12M4 10h12"/>`);
export const debug = icon(svg`<path d="M7 6 3 10l4 4M13 6l4 4-4 4"/>`);
export const record = icon(svg`<circle cx="10" cy="10" r="5.5" fill="currentColor"/>`);
export const download = icon(svg`<path d="M10 3v10M6 9.5l4 4 4-4M3 17h14"/>`);
export const film = icon(
  svg`<rect x="2" y="4" width="16" height="12" rx="1.5"/><path d="M6 4v12M14 4v12M2 8h4M2 12h4M14 8h4M14 12h4"/>`,
);
export const back = icon(svg`<path d="M12.5 5l-5 5 5 5"/>`);
