/** What all pages with a bar at the top look like. */

import { css } from "lit";

export const layout = css`
  :host { display: block; min-height: 100vh; background: var(--ground); }
  .page { max-width: 1280px; margin: 0 auto; padding: 0 24px 48px; }
  .top { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 12px; min-height: 72px; }
  .top img { width: 30px; height: 30px; }
  .top .space { flex: 1; }
  h1 { margin: 0; font-size: 20px; font-weight: 650; letter-spacing: -0.01em; }
  .empty { padding: 44px 24px; border: 1px dashed var(--edge); border-radius: 12px; text-align: center; }
  .empty p { margin: 4px auto 0; max-width: 46ch; color: var(--muted); }
  .empty strong { font-size: 16px; font-weight: 600; }
  .notice { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 8px 16px; }
  @media (max-width: 900px) {
    .page { padding: 0 16px 32px; }
    .top { padding: 16px 0; }
    .top .numbers { order: 1; width: 100%; }
  }
`;
