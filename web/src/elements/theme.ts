/** The look that the elements and pages share. Colours follow the page's `color-scheme`; a page may set its own. */

import { css } from "lit";

export const tokens = css`
  :host {
    --ground: var(--live777-ground, light-dark(#f5f4f1, #131416));
    --surface: var(--live777-surface, light-dark(#ffffff, #1c1e21));
    --sunken: var(--live777-sunken, light-dark(#efeeea, #131416));
    --ink: var(--live777-ink, light-dark(#1b1c1e, #ecebe7));
    --muted: var(--live777-muted, light-dark(#5f6166, #9fa1a6));
    --line: var(--live777-line, light-dark(#deddd8, #33363b));
    --edge: var(--live777-edge, light-dark(#8d8c87, #6b6e74));
    --live: var(--live777-live, light-dark(#c8321c, #ff6a52));
    --good: var(--live777-good, light-dark(#157347, #4cc38a));
    --focus: var(--live777-focus, light-dark(#1f5fd6, #7fb0ff));
    --radius: 8px;
    color: var(--ink);
    font:
      14px/1.45 system-ui,
      sans-serif;
  }
  *,
  ::before,
  ::after {
    box-sizing: border-box;
  }
  [hidden] {
    display: none !important;
  }
  :focus-visible {
    outline: 2px solid var(--focus);
    outline-offset: 2px;
  }
  svg {
    width: 1.15em;
    height: 1.15em;
    fill: none;
    stroke: currentColor;
    stroke-width: 1.75;
    stroke-linecap: round;
    stroke-linejoin: round;
    flex: none;
  }
`;

export const controls = css`
  button,
  .button {
    display: inline-flex;
    align-items: center;
    justify-content: center;
    gap: 6px;
    min-height: 34px;
    padding: 0 12px;
    border: 1px solid var(--line);
    border-radius: var(--radius);
    background: var(--surface);
    color: inherit;
    font: inherit;
    font-weight: 500;
    text-decoration: none;
    white-space: nowrap;
    cursor: pointer;
  }
  button:hover:not(:disabled),
  .button:hover {
    border-color: var(--edge);
  }
  button:disabled {
    opacity: 0.65;
    cursor: not-allowed;
  }
  .primary {
    border-color: var(--ink);
    background: var(--ink);
    color: var(--surface);
  }
  .danger {
    border-color: var(--live);
    color: var(--live);
  }
  .square {
    width: 34px;
    padding: 0;
  }
  label,
  .field {
    display: grid;
    gap: 4px;
    min-width: 0;
    color: var(--muted);
    font-size: 12px;
  }
  input:not([type="checkbox"]),
  select {
    width: 100%;
    min-width: 0;
    height: 36px;
    padding: 0 10px;
    border: 1px solid var(--edge);
    border-radius: var(--radius);
    background: var(--surface);
    color: var(--ink);
    font: inherit;
    font-size: 14px;
    text-overflow: ellipsis;
  }
  textarea {
    width: 100%;
    min-width: 0;
    padding: 8px 10px;
    border: 1px solid var(--edge);
    border-radius: var(--radius);
    background: var(--surface);
    color: var(--ink);
    font: 13px/1.5 ui-monospace, monospace;
    resize: vertical;
  }
  .tabs {
    display: flex;
    gap: 2px;
    padding: 3px;
    border-radius: var(--radius);
    background: var(--sunken);
  }
  .tabs button {
    flex: 1;
    min-width: 0;
    min-height: 32px;
    padding: 0 8px;
    border-color: transparent;
    border-radius: 6px;
    background: none;
    color: var(--muted);
  }
  .tabs button[aria-pressed="true"] {
    border-color: var(--line);
    background: var(--surface);
    color: var(--ink);
  }
  .notice {
    margin: 0;
    padding: 10px 12px;
    border: 1px solid var(--line);
    border-left: 3px solid var(--live);
    border-radius: var(--radius);
    background: var(--surface);
    overflow-wrap: anywhere;
  }
  .numbers {
    color: var(--muted);
    font-size: 13px;
    font-variant-numeric: tabular-nums;
  }
  .tag {
    flex: none;
    padding: 1px 7px;
    border: 1px solid var(--line);
    border-radius: 999px;
    color: var(--muted);
    font-size: 11px;
    font-weight: 500;
    white-space: nowrap;
  }
`;

export const dialogs = css`
  dialog {
    width: min(440px, calc(100vw - 32px));
    max-height: calc(100dvh - 32px);
    padding: 24px;
    overflow: auto;
    border: 1px solid var(--line);
    border-radius: 14px;
    background: var(--surface);
    color: var(--ink);
  }
  dialog::backdrop {
    background: rgb(0 0 0 / 0.5);
  }
  h2 {
    margin: 0;
    overflow-wrap: anywhere;
    font-size: 16px;
    font-weight: 600;
  }
  form {
    display: grid;
    gap: 16px;
  }
  form p {
    margin: 0;
    color: var(--muted);
  }
  .check {
    display: flex;
    align-items: center;
    gap: 8px;
    color: inherit;
    font-size: 14px;
  }
  .pair {
    display: grid;
    grid-template-columns: repeat(auto-fit, minmax(110px, 1fr));
    gap: 12px;
    align-items: end;
  }
  .checks {
    display: flex;
    flex-wrap: wrap;
    gap: 8px 18px;
  }
  .buttons {
    display: flex;
    flex-wrap: wrap;
    justify-content: end;
    gap: 8px;
  }
`;
