/** `<stream-card>`: one stream of the list; tells the page `destroy` and `toggle`. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import * as icons from "../elements/icons";
import { controls, tokens } from "../elements/theme";
import { bitrate, codecName, duration } from "../lib/format";
import type { Gateway, SessionInfo, StreamInfo } from "../lib/gateway";

const PUBLISHER: Partial<Record<SessionInfo["state"], [string, string]>> = {
  new: ["Connecting", ""],
  connecting: ["Connecting", ""],
  connected: ["Live", "live"],
  disconnected: ["Unstable", ""],
};

export const isOpen = (session: SessionInfo) => !["closed", "failed"].includes(session.state);

export class StreamCard extends LitElement {
  static override properties = {
    info: { attribute: false },
    gateway: { attribute: false },
    now: { attribute: false },
    playing: { type: Boolean },
    asking: { state: true },
  };
  declare info: StreamInfo;
  declare gateway: Gateway;
  declare now: number;
  declare playing: boolean;
  declare private asking: boolean;

  static override styles = [
    tokens,
    controls,
    css`
    :host { display: block; border: 1px solid var(--line); border-radius: 12px; background: var(--surface); overflow: hidden; }
    article { display: grid; grid-template-columns: minmax(0, 1fr); gap: 14px; padding: 16px; }
    header { display: flex; flex-wrap: wrap; align-items: center; gap: 10px 16px; }
    .title { display: flex; align-items: center; gap: 10px; flex: 1 1 160px; min-width: 0; }
    h3 { margin: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-size: 16px; font-weight: 600; }
    .dot { width: 9px; height: 9px; flex: none; border: 2px solid var(--muted); border-radius: 50%; }
    .dot.live { border-color: var(--live); background: var(--live); }
    .tag { flex: none; padding: 1px 7px; border: 1px solid var(--line); border-radius: 999px; color: var(--muted); font-size: 11px; }
    .actions { display: flex; flex-wrap: wrap; gap: 6px; }
    .play { min-width: 84px; }
    dl { display: grid; grid-template-columns: 1fr 1.4fr 1.2fr 0.8fr 1fr; gap: 8px 12px; margin: 0; }
    dt { color: var(--muted); font-size: 12px; }
    dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
    dd.live { color: var(--live); font-weight: 600; }
    @media (max-width: 640px) {
      dl { grid-template-columns: repeat(3, 1fr); }
      .actions { width: 100%; gap: 4px; }
      .play { flex: 1; min-width: 0; }
      .tag { margin-left: auto; }
    }
  `,
  ];

  override render(): TemplateResult {
    const { id, codecs, publish, subscribe, stats, provisioned } = this.info;
    const publisher = publish.sessions.find(isOpen);
    const [state, tone] = (publisher && PUBLISHER[publisher.state]) ?? ["Waiting", ""];
    const inOrder = codecs.toSorted((a, b) => b.kind.localeCompare(a.kind));
    const kinds = [...new Set(inOrder.map(({ codec }) => codecName(codec)))].join(" + ");
    const fact = (name: string, value: string | number, tone = "") => html`
      <div><dt>${name}</dt><dd class=${tone}>${value}</dd></div>
    `;
    return html`<article aria-label=${`Stream ${id}`}>
      <header>
        <div class="title">
          <span class="dot ${tone}"></span>
          <h3 title=${id}>${id}</h3>
          ${provisioned ? html`<span class="tag" title="Declared in the configuration file">configured</span>` : nothing}
        </div>
        <div class="actions">${this.asking ? this.#question() : this.#actions()}</div>
      </header>
      <dl>
        ${fact("Publisher", state, tone)} ${fact("Codecs", kinds || "–")}
        ${fact("Bitrate", publisher ? bitrate(stats.publish.bitrate) : "–")}
        ${fact("Viewers", subscribe.sessions.filter(isOpen).length)}
        ${fact("Uptime", publisher ? duration(this.now - publisher.createdAt) : "–")}
      </dl>
      ${this.playing ? html`<whep-player .stream=${id} autoplay muted controls reconnect></whep-player>` : nothing}
    </article>`;
  }

  #actions(): TemplateResult {
    const { id, provisioned } = this.info;
    return html`
      <button class="play ${this.playing ? "" : "primary"}" aria-expanded=${this.playing} @click=${() => this.#tell("toggle")}>
        ${this.playing ? icons.close : icons.play} ${this.playing ? "Close" : "Play"}
      </button>
      <copy-button label="WHEP" hint="Copy the WHEP URL (to play)" .text=${this.gateway.whep(id)}></copy-button>
      <copy-button label="WHIP" hint="Copy the WHIP URL (to publish)" .text=${this.gateway.whip(id)}></copy-button>
      <a class="button square" href=${this.gateway.player(id)} target="_blank" rel="noopener" title="Open the player page" aria-label="Open the player page">${icons.open}</a>
      <button class="square" title=${provisioned ? "Configured streams stay" : "Destroy the stream"} aria-label="Destroy the stream" ?disabled=${provisioned}
        @click=${() => (this.asking = true)}>${icons.trash}</button>
    `;
  }

  #question(): TemplateResult {
    const sure = () => {
      this.asking = false;
      this.#tell("destroy");
    };
    return html`
      <button class="danger" @click=${sure}>${icons.trash} Destroy for everybody</button>
      <button @click=${() => (this.asking = false)}>Keep</button>
    `;
  }

  #tell(type: "toggle" | "destroy"): void {
    this.dispatchEvent(new CustomEvent(type));
  }
}
