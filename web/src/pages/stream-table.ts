/** `<stream-table>`: the streams, one row each; a row opens to a panel. Events `clients`, `cascade`, `record`, `destroy`. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import * as icons from "../elements/icons";
import { controls, tokens } from "../elements/theme";
import { bitrate, codecName, duration } from "../lib/format";
import { type Gateway, isOpen, type SessionInfo, type StreamInfo } from "../lib/gateway";
import type { History } from "../lib/history";
import { table } from "./table";

const PUBLISHER: Partial<Record<SessionInfo["state"], string>> = {
  new: "Connecting",
  connecting: "Connecting",
  connected: "Live",
  disconnected: "Unstable",
};
/** Rows that are drawn until more are asked for. */
const ROWS = 200;

export class StreamTable extends LitElement {
  static override properties = {
    streams: { attribute: false },
    gateway: { attribute: false },
    history: { attribute: false },
    now: { attribute: false },
    recording: { attribute: false },
    opened: { state: true },
    shown: { state: true },
  };
  declare streams: readonly StreamInfo[];
  declare gateway: Gateway;
  declare history: History;
  /** The gateway's clock, ms since the epoch. */
  declare now: number;
  /** Streams that are being recorded; null: the gateway does not record. */
  declare recording: ReadonlySet<string> | null;
  /** Open rows, also of streams that are away for a moment; true: their picture plays at once. */
  declare private opened: ReadonlyMap<string, boolean>;
  declare private shown: number;

  static override styles = [
    tokens,
    controls,
    table,
    css`
    :host { display: block; border: 1px solid var(--line); border-radius: 12px; background: var(--surface); overflow: hidden; }
    tbody th { min-width: 150px; padding-left: 4px; }
    thead th:first-child { padding-left: 46px; }
    .title { display: flex; align-items: center; gap: 4px 8px; min-width: 0; }
    .name { overflow: hidden; text-overflow: ellipsis; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow-wrap: anywhere; }
    .title > span:last-child { display: flex; flex-wrap: wrap; align-items: center; gap: 2px 8px; min-width: 0; }
    .square { flex: none; }
    .actions button:first-child { min-width: 82px; }
    .toggle { width: 30px; border-color: transparent; background: none; }
    .toggle[aria-expanded="true"] svg { transform: rotate(90deg); }
    .dot { width: 9px; height: 9px; flex: none; border: 2px solid var(--muted); border-radius: 50%; }
    .live .dot { border-color: var(--live); background: var(--live); }
    .live .state { border-color: currentColor; color: var(--live); font-weight: 600; }
    tr.open > * { border-bottom-color: transparent; }
    .panel td { padding-top: 0; }
    .recording { border-color: var(--live); color: var(--live); }
    .more { padding: 12px; border-top: 1px solid var(--line); text-align: center; }
    @media (max-width: 720px) {
      table { padding: 0 14px; }
      tbody th { padding: 0; }
      .toggle { margin-left: -8px; }
      .actions button { flex: 1; }
      .actions { display: flex; gap: 6px; }
      tr.open { border-bottom: 0; padding-bottom: 0; }
      .panel td { grid-column: 1 / -1; }
    }
  `,
  ];

  constructor() {
    super();
    this.streams = [];
    this.now = 0;
    this.recording = null;
    this.opened = new Map();
    this.shown = ROWS;
  }

  override render(): TemplateResult {
    const more = this.streams.length - this.shown;
    return html`<table aria-label="Streams">
        <thead>
          <tr><th>Stream</th><th>Codecs</th><th>Viewers</th><th>In</th><th>Out</th><th>Live for</th><td></td></tr>
        </thead>
        ${repeat(
          this.streams.slice(0, this.shown),
          ({ id }) => id,
          (info) => this.#rows(info),
        )}
      </table>
      ${more > 0 ? html`<div class="more"><button @click=${() => (this.shown += 5 * ROWS)}>Show ${more} more</button></div>` : nothing}`;
  }

  #rows(info: StreamInfo): TemplateResult {
    const { id, codecs, publish, subscribe, stats } = info;
    const publisher = publish.sessions.find(isOpen);
    const state = (publisher && PUBLISHER[publisher.state]) ?? "Standby";
    const viewers = subscribe.sessions.filter(isOpen).length;
    const inOrder = codecs.toSorted((a, b) => b.kind.localeCompare(a.kind));
    const names = [...new Set(inOrder.map(({ codec }) => codecName(codec)))].join(" + ");
    const open = this.opened.get(id);
    const tell = (type: string) => this.dispatchEvent(new CustomEvent(type, { detail: id }));
    const playing = open === true;
    const fact = (name: string, value: string | number | undefined) =>
      value
        ? html`<td data-name=${name} class="number">${value}</td>`
        : html`<td data-name=${name} class="none">–</td>`;
    return html`<tbody>
      <tr class="${state === "Live" ? "live" : ""} ${open === undefined ? "" : "open"}" aria-label=${`Stream ${id}`}>
        <th scope="row"><div class="title">
          <button class="square toggle" title="Details" aria-label=${`Details of ${id}`} aria-expanded=${open !== undefined}
            @click=${() => this.#open(id, open === undefined ? false : undefined)}>${icons.chevron}</button>
          <span class="dot"></span>
          <span><span class="name" title=${id}>${id}</span> <span class="tag state">${state}</span>${this.recording?.has(id) ? html` <span class="tag recording">recording</span>` : nothing}${badges(info)}</span>
        </div></th>
        ${fact("Codecs", names)} ${fact("Viewers", viewers)}
        ${fact("In", publisher && bitrate(stats.publish.bitrate))} ${fact("Out", viewers && bitrate(stats.subscribe.bitrate))}
        ${fact("Live for", publisher && duration(this.now - publisher.createdAt))}
        <td class="actions">
          <button class=${state === "Live" && !playing ? "primary" : ""} aria-pressed=${playing} @click=${() => this.#open(id, playing ? undefined : true)}>
            ${playing ? icons.close : icons.play} ${playing ? "Close" : "Play"}</button>
          ${this.#recordButton(id, state === "Live")}
          <button class="square" title="Clients" aria-label=${`Clients of ${id}`} @click=${() => tell("clients")}>${icons.people}</button>
          <button class="square" title="Cascade" aria-label=${`Cascade ${id}`} @click=${() => tell("cascade")}>${icons.cascade}</button>
        </td>
      </tr>
      ${open === undefined ? nothing : this.#panel(info, open)}
    </tbody>`;
  }

  #recordButton(id: string, live: boolean): TemplateResult | typeof nothing {
    if (!this.recording) return nothing;
    const on = this.recording.has(id);
    const record = () => this.dispatchEvent(new CustomEvent("record", { detail: id }));
    return html`<button class="square ${on ? "recording" : ""}" title=${on ? "Stop recording" : "Record"} aria-label=${on ? `Stop recording ${id}` : `Record ${id}`}
      ?disabled=${!live && !on} @click=${record}>${on ? icons.stop : icons.record}</button>`;
  }

  #panel(info: StreamInfo, autoplay: boolean): TemplateResult {
    const series = this.history.get(info.id);
    const destroy = () => {
      this.#open(info.id, undefined);
      this.dispatchEvent(new CustomEvent("destroy", { detail: info.id }));
    };
    return html`<tr class="panel"><td colspan="7">
      <stream-panel .info=${info} .gateway=${this.gateway} .series=${series} .samples=${series?.at.at(-1) ?? 0}
        .autoplay=${autoplay} @destroy=${destroy}></stream-panel>
    </td></tr>`;
  }

  /** Opens a row, with or without its picture, or closes it. */
  #open(id: string, playing: boolean | undefined): void {
    const opened = new Map(this.opened);
    if (playing === undefined) opened.delete(id);
    else opened.set(id, playing);
    this.opened = opened;
  }
}

function badges({ provisioned, onDemand, publish, subscribe }: StreamInfo): TemplateResult[] {
  const pulled = publish.sessions.some((session) => isOpen(session) && session.cascade);
  const pushed = subscribe.sessions.some((session) => isOpen(session) && session.cascade);
  const badges: [boolean | undefined, string, string][] = [
    [provisioned, "config", "Declared in the configuration file"],
    [onDemand, "on demand", "Its source runs while somebody watches"],
    [pulled, "pulled", "Comes from another server"],
    [pushed, "pushed", "Goes to another server"],
  ];
  return badges
    .filter(([shown]) => shown)
    .map(([, name, meaning]) => html` <span class="tag" title=${meaning}>${name}</span>`);
}
