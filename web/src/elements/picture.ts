/** The look of a picture with a message over it and a bar of controls, and how it fills the screen. */

import { css } from "lit";

export const picture = css`
  :host { display: block; position: relative; aspect-ratio: 16 / 9; overflow: hidden; background: #000; color: #fff; --focus: #fff; container-type: inline-size; }
  video { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; }
  .over { position: absolute; inset: 0; display: grid; place-content: center; justify-items: center; gap: 12px; padding: 48px 16px;
    background: rgb(14 15 17 / 0.78); text-align: center; overflow-wrap: anywhere; }
  .over.opaque { background: #0e0f11; }
  .over p { margin: 0; max-width: 44ch; font-size: 16px; }
  .over .sub { margin-top: -6px; color: #b9bbc0; font-size: 14px; }
  .over > svg, .alert svg { width: 30px; height: 30px; }
  .alert { color: #ff8a75; }
  button { display: inline-grid; place-items: center; min-width: 36px; height: 36px; padding: 0; border: 0; border-radius: 8px; background: none;
    color: inherit; font: inherit; cursor: pointer; }
  button:hover { background: rgb(255 255 255 / 0.16); }
  button:focus-visible { outline-offset: -2px; }
  .big { width: 68px; height: 68px; border-radius: 50%; background: rgb(255 255 255 / 0.14); font-size: 24px; }
  .text, .unmute { padding: 0 16px; background: #fff; color: #111; font-weight: 600; }
  .text:hover, .unmute:hover { background: #ddd; }
  .unmute { position: absolute; top: 12px; left: 12px; grid-auto-flow: column; gap: 8px; }
  .bar { position: absolute; inset: auto 0 0; display: flex; align-items: center; gap: 2px; padding: 20px 8px 6px;
    background: linear-gradient(transparent, rgb(0 0 0 / 0.75)); transition: opacity 0.2s; }
  .bar .space { flex: 1; }
  :host([data-state="playing"]) .bar { opacity: 0; }
  :host(:hover) .bar, :host(:focus-within) .bar { opacity: 1 !important; }
  @media (hover: none) { .bar { opacity: 1 !important; } }
  .live { display: inline-flex; align-items: center; gap: 6px; padding: 0 6px; font-size: 12px; font-weight: 600; letter-spacing: 0.04em; }
  .live::before { content: ""; width: 8px; height: 8px; border-radius: 50%; background: #ff5a40; }
  .off { color: #b9bbc0; }
  .live.off::before { background: #85878c; }
  input { width: 84px; accent-color: #fff; }
  select { flex: 0 1 150px; min-width: 64px; height: 30px; padding: 0 4px; border: 0; border-radius: 6px; background: rgb(255 255 255 / 0.16); color: inherit; font: inherit; font-size: 12px; }
  @container (max-width: 480px) { input { display: none; } }
  option { background: #1c1e21; }
  .spin { width: 28px; height: 28px; border: 3px solid rgb(255 255 255 / 0.25); border-top-color: #fff; border-radius: 50%; animation: spin 1s linear infinite; }
  @keyframes spin { to { transform: rotate(1turn); } }
  @media (prefers-reduced-motion: reduce) { .spin { animation-duration: 4s; } }
`;

/** Fills the screen with an element, or takes it back; an iPhone does so with a video only. */
export async function fullscreen(element: Element, video: HTMLVideoElement | null): Promise<void> {
  if (document.fullscreenElement) await document.exitFullscreen();
  else if (element.requestFullscreen !== undefined) await element.requestFullscreen();
  else (video as (HTMLVideoElement & { webkitEnterFullscreen?(): void }) | null)?.webkitEnterFullscreen?.();
}
