/** Tables that become cards on narrow screens: each cell then shows its `data-name`. */

import { css } from "lit";

export const table = css`
  table { width: 100%; border-collapse: collapse; }
  th, td { padding: 8px; border-bottom: 1px solid var(--line); text-align: left; vertical-align: middle; }
  thead th { padding-block: 6px; color: var(--muted); font-size: 12px; font-weight: 500; white-space: nowrap; }
  tbody th { font-weight: 600; overflow-wrap: anywhere; }
  tbody:last-child tr:last-child > * { border-bottom: 0; }
  .number { font-variant-numeric: tabular-nums; white-space: nowrap; }
  .actions { text-align: right; white-space: nowrap; }
  @media (max-width: 720px) {
    thead { position: absolute; clip-path: inset(50%); }
    table, tbody { display: block; }
    tr { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 8px 12px; padding: 12px 0; border-bottom: 1px solid var(--line); }
    tbody:last-child tr:last-child { border-bottom: 0; }
    th, td { display: block; padding: 0; border: 0; white-space: normal; }
    tbody th, .actions { grid-column: 1 / -1; text-align: left; }
    td[data-name]::before { content: attr(data-name); display: block; color: var(--muted); font-size: 12px; }
    td:empty, .none { display: none; }
  }
`;
