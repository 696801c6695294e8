/** `<publish-guide>`: how other programs publish a stream, ready to copy. */

import { css, html, LitElement, type TemplateResult } from "lit";
import { controls, tokens } from "../elements/theme";
import type { Gateway } from "../lib/gateway";

const TABS = ["OBS", "FFmpeg", "GStreamer", "Embed"] as const;
type Tab = (typeof TABS)[number];

export class PublishGuide extends LitElement {
  static override properties = {
    gateway: { attribute: false },
    stream: {},
    signed: { type: Boolean },
    tab: { state: true },
  };
  declare gateway: Gateway;
  declare stream: string;
  /** The gateway asks for a token. */
  declare signed: boolean;
  declare private tab: Tab;

  static override styles = [
    tokens,
    controls,
    css`
    :host { display: grid; gap: 14px; min-width: 0; }
    .tabs { justify-self: start; max-width: 100%; }
    .tabs button { flex: 1 0 auto; padding: 0 14px; }
    p { margin: 0; color: var(--muted); }
    .row { display: grid; grid-template-columns: 110px minmax(0, 1fr) auto; align-items: center; gap: 8px 12px; }
    .row + .row { margin-top: -6px; }
    .row > span { color: var(--muted); }
    code, pre { margin: 0; padding: 8px 12px; border-radius: var(--radius); background: var(--sunken);
      font: 12.5px/1.55 ui-monospace, monospace; overflow-wrap: anywhere; white-space: pre-wrap; }
    .block { display: grid; gap: 8px; justify-items: start; }
    .block pre { width: 100%; }
    @media (max-width: 640px) {
      .row { grid-template-columns: minmax(0, 1fr) auto; }
      .row > span { grid-column: 1 / -1; margin-bottom: -6px; }
      .tabs { width: 100%; }
      .tabs button { padding: 0 4px; }
    }
  `,
  ];

  constructor() {
    super();
    this.stream = "";
    this.signed = false;
    this.tab = "OBS";
  }

  override render(): TemplateResult {
    const pressed = (tab: Tab) => html`
      <button aria-pressed=${this.tab === tab} @click=${() => (this.tab = tab)}>${tab}</button>
    `;
    return html`<div class="tabs" role="group" aria-label="Program">${TABS.map(pressed)}</div>
      ${this.#steps()}`;
  }

  #steps(): TemplateResult {
    const url = this.gateway.whip(this.stream);
    const block = (text: string, more: string) => html`
      <p>${more}</p><div class="block"><pre>${text}</pre><copy-button .text=${text}></copy-button></div>
    `;
    const row = (name: string, text: string) => html`
      <div class="row"><span>${name}</span><code>${text}</code><copy-button .text=${text}></copy-button></div>
    `;
    switch (this.tab) {
      case "OBS":
        return html`
          <p>In OBS 30 or later: Settings, Stream, Service “WHIP”. Then choose Start Streaming.</p>
          ${row("Server", url)} ${this.signed ? html`<p>Bearer Token: the token you signed in with.</p>` : ""}
          <p>For the lowest delay, use the profile “baseline” or set B-frames to 0, and a key frame every 1–2 s.</p>
        `;
      case "FFmpeg": {
        const token = this.signed ? ' -authorization "$TOKEN"' : "";
        return block(
          `ffmpeg -re -f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i sine \\\n  -c:v libx264 -preset veryfast -tune zerolatency -bf 0 -g 60 -pix_fmt yuv420p \\\n  -c:a libopus -ar 48000 -ac 2 \\\n  -f whip${token} ${quote(url)}`,
          "FFmpeg 8 or later publishes by WHIP. This sends a test picture with a tone:",
        );
      }
      case "GStreamer": {
        const token = this.signed ? ' signaller::auth-token="$TOKEN"' : "";
        return block(
          `gst-launch-1.0 whipclientsink name=out \\\n  signaller::whip-endpoint=${quote(url)}${token} \\\n  videotestsrc is-live=true ! video/x-raw,width=1280,height=720 ! queue ! out. \\\n  audiotestsrc is-live=true ! queue ! out.`,
          "With the rswebrtc plugin of GStreamer 1.24 or later:",
        );
      }
      case "Embed":
        return block(embedCode(this.gateway, this.stream), "Puts a player into any web page:");
    }
  }
}

/** The HTML that puts a player of a stream into any page. */
export function embedCode(gateway: Gateway, stream: string): string {
  return `<script type="module" src="${new URL("embed.js", gateway.base).href}"></script>
<whep-player stream="${attribute(stream)}" autoplay muted controls reconnect></whep-player>`;
}

/** Quotes a word for a POSIX shell. */
const quote = (text: string) => (/^[\w/:.%@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
const attribute = (text: string) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
