/** `<stream-panel>`: one stream seen closely: its picture, its plots, its addresses; event `destroy`. */

import { css, html, LitElement, type PropertyValues, type TemplateResult } from "lit";
import * as icons from "../elements/icons";
import { controls, tokens } from "../elements/theme";
import type { WhepPlayer } from "../elements/whep-player";
import { bitrate } from "../lib/format";
import type { Gateway, StreamInfo } from "../lib/gateway";
import type { Series } from "../lib/history";
import { embedCode } from "./publish-guide";

export class StreamPanel extends LitElement {
  static override properties = {
    info: { attribute: false },
    gateway: { attribute: false },
    series: { attribute: false },
    samples: { attribute: false },
    autoplay: { type: Boolean },
  };
  declare info: StreamInfo;
  declare gateway: Gateway;
  declare series: Series | undefined;
  /** Grows with the series, which is one and the same object. */
  declare samples: number;
  /** The picture plays at once. */
  declare autoplay: boolean;

  static override styles = [
    tokens,
    controls,
    css`
    :host { display: grid; gap: 14px; min-width: 0; padding: 4px 4px 12px; font-weight: 400; }
    .sides { display: grid; grid-template-columns: minmax(0, 1.35fr) minmax(0, 1fr); gap: 20px; align-items: start; }
    whep-player { border-radius: var(--radius); }
    .plots { display: grid; gap: 8px; min-width: 0; }
    .links { display: flex; flex-wrap: wrap; gap: 6px; }
    .links .space { flex: 1; }
    @media (max-width: 720px) { .sides { grid-template-columns: minmax(0, 1fr); } }
  `,
  ];

  override updated(changed: PropertyValues): void {
    if (changed.get("autoplay") === false) this.renderRoot.querySelector<WhepPlayer>("whep-player")?.play();
  }

  override render(): TemplateResult {
    const { id, provisioned = false } = this.info;
    const { at = [], incoming = [], outgoing = [], viewers = [], loss = [] } = this.series ?? {};
    const destroy = () => this.dispatchEvent(new CustomEvent("destroy"));
    const plot = (name: string, format: (value: number) => string, least: number, lines: object[]) => html`
      <time-plot .name=${name} .format=${format} .least=${least} .at=${at} .lines=${lines}></time-plot>
    `;
    return html`
      <div class="sides">
        <whep-player .stream=${id} ?autoplay=${this.autoplay} muted controls reconnect></whep-player>
        <div class="plots">
          ${plot("Bitrate", bitrate, 100_000, [
            { name: "in", values: incoming },
            { name: "out", values: outgoing },
          ])}
          ${plot("Loss", (value) => `${value.toFixed(1)} %`, 1, [{ name: "from the publisher", values: loss }])}
          ${plot("Viewers", whole, 2, [{ name: "", values: viewers }])}
        </div>
      </div>
      <div class="links">
        <a class="button" href=${this.gateway.player(id)} target="_blank" rel="opener">${icons.open} Player</a>
        <a class="button" href=${this.gateway.debugger(id)} target="_blank" rel="opener">${icons.debug} Debugger</a>
        <copy-button label="WHEP" hint="Copy the WHEP URL (to play)" .text=${this.gateway.whep(id)}></copy-button>
        <copy-button label="WHIP" hint="Copy the WHIP URL (to publish)" .text=${this.gateway.whip(id)}></copy-button>
        <copy-button label="Embed" hint="Copy the HTML that embeds a player" .text=${embedCode(this.gateway, id)}></copy-button>
        <span class="space"></span>
        <confirm-button question="Destroy for everybody" ?disabled=${provisioned} title=${provisioned ? "Streams of the configuration file stay" : ""}
          @confirm=${destroy}>${icons.trash} Destroy the stream</confirm-button>
      </div>
    `;
  }
}

const whole = (value: number) => (Number.isInteger(value) ? String(value) : "");
