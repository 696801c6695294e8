/** `<recording-card>`: one recording, how to play, save and delete it. Events `toggle`, `changed`. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import * as icons from "../elements/icons";
import { controls, tokens } from "../elements/theme";
import { download } from "../lib/download";
import { bytes, duration } from "../lib/format";
import type { Gateway } from "../lib/gateway";
import type { Recording, Recordings } from "../lib/recordings";

const STATUS: Partial<Record<Recording["status"], string>> = { Active: "Recording", Failed: "Failed" };

export class RecordingCard extends LitElement {
  static override properties = {
    recording: { attribute: false },
    recordings: { attribute: false },
    gateway: { attribute: false },
    playing: { type: Boolean },
    problem: { state: true },
    saved: { state: true },
  };
  declare recording: Recording;
  declare recordings: Recordings;
  declare gateway: Gateway;
  declare playing: boolean;
  declare private problem: string;
  /** Octets that a running download has; null: none runs. */
  declare private saved: number | null;
  #download: AbortController | null = null;

  static override styles = [
    tokens,
    controls,
    css`
    :host { display: block; }
    article { display: grid; grid-template: "picture facts actions" auto / 168px minmax(0, 1fr) auto; gap: 8px 16px; align-items: center; padding: 12px 16px; }
    .picture { grid-area: picture; padding: 0; border: 0; background: none; }
    .picture recording-thumbnail { width: 100%; }
    .facts { grid-area: facts; display: grid; gap: 4px; min-width: 0; }
    .title { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 8px; }
    h4 { margin: 0; font-size: 14px; font-weight: 600; overflow-wrap: anywhere; }
    .facts p { display: flex; flex-wrap: wrap; gap: 0 14px; margin: 0; }
    .facts .bad { color: var(--live); font-size: 13px; }
    .Active { border-color: currentColor; color: var(--live); font-weight: 600; }
    .Failed { border-color: var(--live); color: var(--live); }
    .actions { grid-area: actions; display: flex; flex-wrap: wrap; gap: 6px; justify-content: end; }
    .actions > :first-child { min-width: 82px; }
    .panel { display: grid; gap: 10px; padding: 0 16px 16px; }
    dash-player { max-height: 70vh; width: 100%; border-radius: var(--radius); }
    .links { display: flex; flex-wrap: wrap; gap: 6px; }
    .notice { margin: 0 16px 12px; }
    @media (max-width: 900px) {
      article { grid-template: "picture facts" auto "actions actions" auto / 120px minmax(0, 1fr); gap: 10px 12px; align-items: start; padding: 12px; }
      .actions { justify-content: stretch; }
      .actions > * { flex: 1; }
      .panel { padding: 0 12px 12px; }
    }
  `,
  ];

  constructor() {
    super();
    this.playing = false;
    this.problem = "";
    this.saved = null;
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#download?.abort();
  }

  override render(): TemplateResult {
    const { stream, startedAt, duration: length, bytes: size, codecs, status, reason, record } = this.recording;
    const active = status === "Active";
    const time = startedAt
      ? new Date(startedAt).toLocaleTimeString(navigator.language, { hour: "numeric", minute: "2-digit" })
      : record;
    const toggle = () => this.dispatchEvent(new CustomEvent("toggle"));
    const label = STATUS[status];
    return html`<article aria-label=${`${stream}, ${time}`}>
        <button class="picture" tabindex="-1" aria-hidden="true" @click=${toggle}>
          <recording-thumbnail .recording=${this.recording} .recordings=${this.recordings}></recording-thumbnail>
        </button>
        <div class="facts">
          <div class="title"><h4>${stream}</h4>${label ? html`<span class="tag ${status}">${label}</span>` : nothing}</div>
          <p class="numbers"><span>${time}</span><span>${duration(active && startedAt ? Date.now() - startedAt : length)}</span>
            ${size ? html`<span>${bytes(size)}</span>` : nothing}
            ${codecs.length > 0 ? html`<span>${codecs.join(" + ")}</span>` : nothing}</p>
          ${reason ? html`<p class=${status === "Failed" ? "bad" : "numbers"}>${reason}</p>` : nothing}
        </div>
        <div class="actions">
          <button class=${this.playing ? "" : "primary"} aria-pressed=${this.playing} @click=${toggle}>
            ${this.playing ? icons.close : icons.play} ${this.playing ? "Close" : "Play"}</button>
          ${this.#downloadButton()}
          ${
            active
              ? html`<button @click=${() => this.#act(() => this.recordings.stop(stream))}>${icons.stop} Stop recording</button>`
              : html`<confirm-button question="Delete for ever" @confirm=${() => this.#act(() => this.recordings.delete(this.recording))}>
                  ${icons.trash} Delete</confirm-button>`
          }
        </div>
      </article>
      ${this.problem ? html`<div class="notice" role="alert">${this.problem}</div>` : nothing}
      ${this.playing ? this.#panel() : nothing}`;
  }

  #panel(): TemplateResult {
    const manifest = this.recordings.manifest(this.recording).href;
    return html`<div class="panel">
      <dash-player .src=${manifest} .token=${this.gateway.token} autoplay></dash-player>
      <div class="links">
        <a class="button" href=${this.recordings.player(this.recording)} target="_blank" rel="opener">${icons.open} Player</a>
        <copy-button label="DASH" hint="Copy the URL of the manifest" .text=${manifest}></copy-button>
      </div>
    </div>`;
  }

  #downloadButton(): TemplateResult {
    const url = this.recordings.file(this.recording);
    if (!this.gateway.token)
      return html`<a class="button" href=${url.href} download=${this.#name}>${icons.download} MP4</a>`;
    if (this.saved === null) return html`<button @click=${() => void this.#save(url)}>${icons.download} MP4</button>`;
    return html`<button title="Cancel the download" @click=${() => this.#download?.abort()}>${icons.close} ${bytes(this.saved)}</button>`;
  }

  get #name(): string {
    const { stream, record } = this.recording;
    return `${stream}-${record}.mp4`.replace(/[/\\:*?"<>|]/g, "_");
  }

  async #save(url: URL): Promise<void> {
    const run = (this.#download = new AbortController());
    this.saved = 0;
    this.problem = "";
    try {
      await download(url, this.gateway.token, this.#name, (count) => (this.saved = count), run.signal);
    } catch (error) {
      if (!run.signal.aborted) this.problem = `The download failed: ${error instanceof Error ? error.message : error}`;
    } finally {
      this.saved = null;
    }
  }

  async #act(action: () => Promise<void>): Promise<void> {
    this.problem = "";
    try {
      await action();
      this.dispatchEvent(new CustomEvent("changed"));
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
    }
  }
}
