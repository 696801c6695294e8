/** `<whep-player>`: plays one WHEP stream and says what it is doing. */

import { html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { GONE } from "../lib/client";
import type { GatewayError } from "../lib/errors";
import { bitrate } from "../lib/format";
import type { Layer, Session } from "../lib/session";
import type { Stats } from "../lib/stats";
import { followViewer } from "../lib/viewer-events";
import { WhepClient } from "../lib/whep";
import { MediaElement } from "./base";
import * as icons from "./icons";
import { watchLatency } from "./latency";
import { nerdStats, nerdStyles } from "./nerd-stats";
import { fullscreen, picture } from "./picture";
import { tokens } from "./theme";

export type PlayerState = "idle" | "connecting" | "waiting" | "playing" | "ended" | "error";

/** Media that stood still for this long means that the publisher is away. */
const STALL_MS = 3_000;

export class WhepPlayer extends MediaElement<PlayerState> {
  static override properties = {
    ...MediaElement.properties,
    autoplay: { type: Boolean },
    muted: { type: Boolean },
    lowlatency: { type: Boolean },
    details: { type: Boolean, reflect: true },
    media: { state: true },
    silenced: { state: true },
    picture: { state: true },
    layers: { state: true },
    layer: { state: true },
    live: { state: true },
    latency: { state: true },
  };
  declare autoplay: boolean;
  declare muted: boolean;
  declare lowlatency: boolean;
  /** The statistics are shown. */
  declare details: boolean;
  declare private media: MediaStream | null;
  /** Muted by the browser's autoplay policy, not by the page. */
  declare private silenced: boolean;
  declare private picture: boolean;
  /** The layers to choose from, the best first; empty: there is no choice. */
  declare layers: Layer[];
  /** The id of the chosen layer; null: the server chooses. */
  declare layer: string | null;
  /** Whether there is a publisher; null: the server does not tell. */
  declare live: boolean | null;
  /** From drawing to display of a test pattern in ms, by this machine's clock; null without one. */
  declare latency: number | null;
  #moved = 0;
  /** Ends what belongs to the media that play now. */
  #media = new AbortController();
  /** Ends what is heard of the session. */
  #events = new AbortController();
  /** The server tells of the layers by itself. */
  #told = false;

  static override styles = [tokens, nerdStyles, picture];

  constructor() {
    super("idle", "in");
    this.autoplay = this.muted = this.lowlatency = this.details = this.silenced = this.picture = false;
    this.media = this.layer = this.live = this.latency = null;
    this.layers = [];
    this.addEventListener("contextmenu", (event) => this.#menu(event));
    this.addEventListener("keydown", (event) => this.#key(event));
  }

  get video(): HTMLVideoElement | null {
    return this.renderRoot.querySelector("video");
  }

  /** Starts, or starts again. */
  play(): void {
    const url = this.endpoint("whep");
    void this.halt();
    this.picture = false;
    this.#moved = 0;
    if (!url) return this.#enter("error", "No stream is named: by stream, by src, or by ?id= of the page.");
    const client = new WhepClient({
      ...this.clientOptions(url),
      lowLatency: this.lowlatency,
      onStream: (media) => this.client === client && (this.media = media),
      onState: () => this.client === client && this.#follow(client),
    });
    this.run(client);
  }

  /** Asks for the layers again: they have no size before their first picture. Throws GatewayError. */
  async loadLayers(): Promise<void> {
    const session = this.session;
    const layers = (await session?.layers()) ?? [];
    if (session === this.session) this.layers = layers;
  }

  /** Plays one layer, by its id (`layerId`); null leaves the choice to the server. Throws GatewayError. */
  async selectLayer(id: string | null): Promise<void> {
    const layer = this.layers.find((layer) => layerId(layer) === id);
    await this.session?.selectLayer(id === null ? null : (layer ?? { encodingId: id }));
    this.layer = id;
  }

  /** Ends the session. */
  override async stop(): Promise<void> {
    const stopped = this.halt();
    this.#media.abort();
    this.#events.abort();
    this.media = this.live = this.latency = null;
    this.layers = [];
    this.#enter("idle");
    await stopped;
  }

  override firstUpdated(): void {
    if (this.autoplay) this.play();
  }

  override updated(changed: PropertyValues): void {
    if (changed.has("media") && this.video) {
      this.video.srcObject = this.media;
      if (this.media) void this.#unblock(this.video);
    }
    const moved = ["src", "stream", "token"].some((name) => typeof changed.get(name) === "string");
    if (moved && this.client) this.play();
  }

  protected override onSession(session: Session): void {
    super.onSession(session);
    this.layers = [];
    this.layer = this.live = null;
    this.#told = false;
    this.#events.abort();
    this.#events = new AbortController();
    const client = this.client;
    void followViewer(
      session,
      {
        onOpen: () => (this.#told = true),
        onLive: (live) => this.#hear(live),
        onLayers: (layers) => (this.layers = layers),
        onReconnect: (url) => client?.move(url),
        onLost: () => {
          this.live = null;
          this.#told = false;
        },
      },
      this.#events.signal,
    );
  }

  /** That the publisher has gone is known sooner than its media stand still. */
  #hear(live: boolean): void {
    this.live = live;
    if (!live && this.state === "playing") this.#enter("waiting");
  }

  #follow(client: WhepClient): void {
    const { failure } = client;
    if (client.state !== "connected") {
      this.#events.abort();
      this.live = null;
      this.layers = [];
    }
    if (client.state === "connecting" && this.#moved === 0 && this.state !== "waiting") this.#enter("connecting");
    if (client.state === "connected") this.#enter("waiting");
    if (client.state === "retrying" && failure) {
      this.#moved = 0;
      const absent = [404, 409, GONE].includes(failure.status);
      this.#enter(absent ? "waiting" : "connecting", absent ? "" : `${failure.message} Trying again.`);
    }
    if (client.state === "closed" && failure) this.#enter("ended", failure.message);
    if (client.state === "failed" && failure) this.#enter("error", failure.message);
    if (failure) this.fail(failure);
  }

  /** The first picture or sound is there: sooner than the next reading says so. */
  #loaded(video: HTMLVideoElement): void {
    this.picture = video.videoWidth > 0;
    this.#moved = Date.now();
    if (this.client?.state === "connected") this.#enter("playing");
    if (!this.#told && this.layers.length === 0 && this.session?.layerUrl)
      void this.loadLayers().catch((error: GatewayError) => error.status !== 409 && this.fail(error));
    this.#media.abort();
    this.#media = new AbortController();
    watchLatency(video, (latency) => (this.latency = latency), this.#media.signal);
  }

  protected override onReading(stats: Stats, before: Stats | null): void {
    if (stats.bytes > (before?.bytes ?? 0)) this.#moved = stats.at;
    this.picture = stats.framesDecoded > 0;
    if (this.client?.state !== "connected") return;
    const flowing = this.live !== false && this.#moved > 0 && stats.at - this.#moved < STALL_MS;
    if (flowing !== (this.state === "playing")) this.#enter(flowing ? "playing" : "waiting");
  }

  #enter(state: PlayerState, message = ""): void {
    this.message = message;
    this.state = state;
  }

  /** Plays with sound if the browser allows it, else muted with an offer to unmute. */
  async #unblock(video: HTMLVideoElement): Promise<void> {
    try {
      await video.play();
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "NotAllowedError") || video.muted) return;
      this.muted = this.silenced = true;
      await this.updateComplete;
      await video.play().catch(() => undefined);
    }
  }

  #mute(muted: boolean): void {
    this.muted = muted;
    this.silenced = false;
    if (!muted && this.video?.volume === 0) this.video.volume = 1;
  }

  async #pictureInPicture(): Promise<void> {
    if (document.pictureInPictureElement) await document.exitPictureInPicture();
    else await this.video?.requestPictureInPicture().catch(() => undefined);
  }

  #menu(event: MouseEvent): void {
    if (!this.controls) return;
    event.preventDefault();
    this.details = !this.details;
  }

  #key(event: KeyboardEvent): void {
    if (!this.controls || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "m") this.#mute(!this.muted);
    if (event.key === "f") void fullscreen(this, this.video);
    if (event.key === "i") this.details = !this.details;
  }

  override render(): TemplateResult {
    return html`
      <video
        playsinline
        .muted=${this.muted}
        aria-label=${`Live video ${this.stream ?? ""}`}
        @loadeddata=${(event: Event) => this.#loaded(event.target as HTMLVideoElement)}
      ></video>
      ${this.#overlay()}
      <div>
        ${
          this.state === "playing" &&
          this.muted &&
          !this.details &&
          (this.controls || this.silenced) &&
          this.reading?.audioCodec
            ? html`<button class="unmute" @click=${() => this.#mute(false)}>${icons.silent} Unmute</button>`
            : nothing
        }
        ${this.details && this.reading && this.state === "playing" ? nerdStats(this.reading, this.latency, this.layer) : nothing}
        ${this.controls ? this.#bar() : nothing}
      </div>
    `;
  }

  #overlay(): TemplateResult | typeof nothing {
    const again = (name: string) => html`<button class="text" @click=${() => this.play()}>${name}</button>`;
    const say = (icon: unknown, title: string, more: unknown = nothing) => html`
      <div class="over ${this.picture ? "" : "opaque"}" role="status">${icon}<p>${title}</p>${more}</div>
    `;
    const sub = this.message ? html`<p class="sub">${this.message}</p>` : nothing;
    switch (this.state) {
      case "idle":
        return html`<div class="over opaque">
          <button class="big" aria-label="Play" @click=${() => this.play()}>${icons.play}</button>
        </div>`;
      case "connecting":
        return say(html`<span class="spin"></span>`, "Connecting…", sub);
      case "waiting":
        return say(
          icons.wave,
          this.live ? "Waiting for the picture" : "Waiting for the publisher",
          html`<p class="sub">Playback starts by itself.</p>`,
        );
      case "ended":
        return say(icons.stop, "The stream has ended", again("Play again"));
      case "error":
        return say(html`<span class="alert">${icons.alert}</span>`, this.message, again("Try again"));
      case "playing":
        return this.picture || this.reading?.videoCodec !== "" ? nothing : say(icons.note, "Audio only");
    }
  }

  #bar(): TemplateResult {
    const button = (name: string, icon: TemplateResult, action: () => void, pressed?: boolean) => html`
      <button title=${name} aria-label=${name} aria-pressed=${pressed ?? nothing} @click=${action}>${icon}</button>
    `;
    const running = !["idle", "ended", "error"].includes(this.state);
    return html`<div class="bar">
      ${running ? button("Stop", icons.stop, () => void this.stop()) : button("Play", icons.play, () => this.play())}
      ${button(this.muted ? "Unmute (m)" : "Mute (m)", this.muted ? icons.silent : icons.sound, () => this.#mute(!this.muted))}
      <input type="range" min="0" max="1" step="0.05" value="1" aria-label="Volume" ?hidden=${this.muted}
        @input=${(event: Event) => this.video && (this.video.volume = Number((event.target as HTMLInputElement).value))} />
      ${this.state === "playing" ? html`<span class="live">LIVE</span>` : nothing}
      ${this.live === false ? html`<span class="live off">OFFLINE</span>` : nothing}
      <span class="space"></span>
      ${this.layers.length > 1 ? this.#layerChoice() : nothing}
      ${button("Statistics (i)", icons.info, () => (this.details = !this.details), this.details)}
      ${document.pictureInPictureEnabled ? button("Picture in picture", icons.inset, () => void this.#pictureInPicture()) : nothing}
      ${button("Full screen (f)", icons.expand, () => void fullscreen(this, this.video))}
    </div>`;
  }

  #layerChoice(): TemplateResult {
    const choose = (event: Event) => {
      const chosen = (event.target as HTMLSelectElement).value;
      void this.selectLayer(chosen || null).catch((error: GatewayError) => this.fail(error));
    };
    const entry = (layer: Layer) => html`
      <option value=${layerId(layer)} ?selected=${layerId(layer) === this.layer} ?disabled=${layer.active === false}>
        ${layerName(layer)}
      </option>
    `;
    const height = this.layer === null && this.state === "playing" ? this.reading?.height : 0;
    return html`<select aria-label="Quality" title="Quality" @change=${choose}>
      <option value="" ?selected=${this.layer === null}>Auto${height ? ` (${height}p)` : ""}</option>
      ${this.layers.map(entry)}
    </select>`;
  }
}

/** The rid, or S0, S1 and so on for a spatial layer. */
export function layerId({ encodingId, spatialLayerId }: Layer): string {
  return encodingId ?? `S${spatialLayerId ?? 0}`;
}

/** A layer in words: its size and bitrate if they are known, else its id. */
export function layerName(layer: Layer): string {
  const { width, height, bitrate: rate } = layer;
  if (!width) return layerId(layer);
  return `${width}×${height}${rate ? ` · ${bitrate(rate)}` : ""}`;
}
