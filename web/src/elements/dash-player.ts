/** `<dash-player>`: plays a DASH manifest, also one that still grows; dash.js is loaded with the first one. */

import type { MediaPlayerClass, MediaPlayerErrorEvent } from "dashjs";
import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { GatewayError } from "../lib/errors";
import { duration } from "../lib/format";
import { untilPlayable } from "../lib/manifest";
import * as icons from "./icons";
import { fullscreen, picture } from "./picture";
import { tokens } from "./theme";

export type DashState = "idle" | "loading" | "waiting" | "playing" | "paused" | "ended" | "error";

const RATES = [0.5, 1, 1.5, 2, 4];
const SKIP_SECONDS = 5;
/** Between two looks at the position. */
const LOOK_MS = 250;
/** A live recording counts as live up to so many seconds behind the place where dash.js starts. */
const LIVE_SECONDS = 5;
/** dash.js pauses so many seconds before the end at most, and does not always say that this was it. */
const END_SECONDS = 0.25;

export class DashPlayer extends LitElement {
  static override properties = {
    src: {},
    token: {},
    autoplay: { type: Boolean },
    muted: { type: Boolean },
    state: { state: true },
    message: { state: true },
    live: { state: true },
    span: { state: true },
    at: { state: true },
    wanted: { state: true },
  };
  /** The manifest. */
  declare src: string | null;
  /** Sent to the origin of the manifest and nowhere else. */
  declare token: string | null;
  declare autoplay: boolean;
  declare muted: boolean;
  /** What the element does now; also its `data-state` attribute. */
  declare state: DashState;
  /** The state in words, where there is more to say. */
  declare message: string;
  /** The manifest still grows. */
  declare live: boolean;
  /** First and last second that can be played. */
  declare private span: readonly [number, number];
  /** Seconds on the time line of the manifest. */
  declare private at: number;
  /** Where the seek bar is dragged to. */
  declare private wanted: number | null;
  #player: MediaPlayerClass | null = null;
  #run: AbortController | null = null;
  #timer = 0;

  static override styles = [
    tokens,
    picture,
    css`
    :host { min-height: 200px; }
    .seek { position: absolute; inset: auto 14px 44px; width: calc(100% - 28px); height: 16px; margin: 0; cursor: pointer; }
    .bar { padding-top: 36px; }
    .time { padding: 0 6px; font-size: 13px; font-variant-numeric: tabular-nums; white-space: nowrap; }
    .bar .live { height: 30px; background: none; }
    .bar .behind::before { background: #9fa1a6; }
  `,
  ];

  constructor() {
    super();
    this.src = this.token = this.wanted = null;
    this.autoplay = this.muted = this.live = false;
    this.state = "idle";
    this.message = "";
    this.span = [0, 0];
    this.at = 0;
    this.addEventListener("keydown", (event) => this.#key(event));
  }

  get video(): HTMLVideoElement | null {
    return this.renderRoot.querySelector("video");
  }

  /** Starts from anew. */
  async play(): Promise<void> {
    this.stop();
    if (!this.src) return this.#enter("error", "No manifest is named.");
    const run = (this.#run = new AbortController());
    const url = new URL(this.src, document.baseURI);
    this.#enter("loading");
    try {
      await untilPlayable(url, this.token ?? "", () => this.#enter("waiting"), run.signal);
      const { MediaPlayer } = await import("dashjs");
      if (run.signal.aborted || !this.video) return;
      this.#enter("loading");
      this.#attach(MediaPlayer().create(), url, this.video);
    } catch (error) {
      if (run.signal.aborted) return;
      const [message, status] =
        error instanceof GatewayError ? [error.message, error.status] : ["The player cannot be loaded.", 0];
      this.#fail(message, status);
    }
  }

  stop(): void {
    this.#run?.abort();
    clearInterval(this.#timer);
    this.#player?.destroy();
    this.#player = null;
    this.live = false;
    this.span = [0, 0];
    this.at = 0;
    this.#enter("idle");
  }

  #attach(player: MediaPlayerClass, url: URL, video: HTMLVideoElement): void {
    this.#player = player;
    player.updateSettings({
      debug: { logLevel: 0 },
      streaming: {
        // What can be played is what the manifest lists, whatever the clocks say.
        timeShiftBuffer: { calcFromSegmentTimeline: true },
        delay: { liveDelayFragmentCount: 2 },
        // The speed is the viewer's.
        liveCatchup: { enabled: false },
        lastBitrateCachingInfo: { enabled: false },
        lastMediaSettingsCachingInfo: { enabled: false },
      },
    });
    player.addRequestInterceptor((request) => {
      const own = new URL(request.url, document.baseURI).origin === url.origin;
      if (own && this.token) request.headers = { ...request.headers, Authorization: `Bearer ${this.token}` };
      return Promise.resolve(request);
    });
    player.on("error", ({ error }: MediaPlayerErrorEvent) => {
      if (this.#player === player) this.#fail(typeof error === "object" ? error.message : String(error));
    });
    player.on("playbackNotAllowed", () => void this.#playMuted(video));
    // Where the element itself does not end (a millisecond is missing), dash.js pauses it a little before.
    player.on("playbackEnded", ({ isLast }: { isLast: boolean }) => isLast && this.#follow("ended"));
    player.initialize(video, undefined, true);
    // dash.js would ask a time server on the Internet; the Date header of the manifest does.
    player.clearDefaultUTCTimingSources();
    player.attachSource(url.href);
    this.#timer = window.setInterval(() => this.#look(), LOOK_MS);
  }

  /** The browser allows no sound before a click. */
  async #playMuted(video: HTMLVideoElement): Promise<void> {
    this.muted = true;
    await this.updateComplete;
    await video.play().catch(() => this.#enter("paused"));
  }

  #look(): void {
    const { video } = this;
    if (!this.#player?.isReady() || !video || !(video.readyState > 0)) return;
    this.live = this.#player.isDynamic();
    const window = this.live ? this.#player.getDvrWindow() : null;
    const span = window ? [window.start, window.end] : [0, video.duration];
    if (span.every(Number.isFinite)) this.span = [span[0] ?? 0, span[1] ?? 0];
    this.at = video.currentTime;
    if (!this.live && this.state === "paused" && this.at > this.span[1] - END_SECONDS) this.#follow("ended");
  }

  /** Goes to a second on the time line; what is beyond its ends means the ends. */
  seek(at: number): void {
    const { video } = this;
    const [from, to] = this.span;
    if (!video || to <= from) return;
    // Who goes back does not go live, however short the recording still is.
    if (this.live && at >= to - LIVE_SECONDS && at > video.currentTime) return this.#toLive();
    if (this.state === "ended") this.#enter("paused");
    video.currentTime = this.at = Math.min(Math.max(at, from), to - 0.1);
  }

  #toLive(): void {
    this.#player?.seekToOriginalLive();
    void this.video?.play();
  }

  get #atLive(): boolean {
    const delay = this.#player?.getTargetLiveDelay() ?? 0;
    return this.live && this.at > this.span[1] - delay - LIVE_SECONDS;
  }

  #toggle(): void {
    const { video } = this;
    if (!this.#run || this.state === "error" || !video) void this.play();
    else if (video.paused) void video.play();
    else video.pause();
  }

  #fail(message: string, status = 0): void {
    this.#enter("error", message);
    this.dispatchEvent(new CustomEvent("error", { detail: { message, status } }));
  }

  #enter(state: DashState, message = ""): void {
    this.message = message;
    this.state = state;
  }

  /** Follows the video element while it is the player that plays. */
  #follow(state: DashState): void {
    const stays = this.state === "error" || (this.state === "ended" && state !== "playing");
    if (this.#player && !stays) this.#enter(state);
  }

  #key(event: KeyboardEvent): void {
    const target = event.composedPath()[0];
    if (event.ctrlKey || event.metaKey || event.altKey || target instanceof HTMLSelectElement) return;
    const { at } = this;
    const actions: Record<string, () => void> = {
      ArrowLeft: () => this.seek(at - SKIP_SECONDS),
      ArrowRight: () => this.seek(at + SKIP_SECONDS),
      Home: () => this.seek(this.span[0]),
      End: () => this.seek(this.span[1]),
      m: () => (this.muted = !this.muted),
      f: () => void fullscreen(this, this.video),
      k: () => this.#toggle(),
      ...(!(target instanceof HTMLButtonElement) && { " ": () => this.#toggle() }),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  override firstUpdated(): void {
    if (this.autoplay) void this.play();
  }

  override willUpdate(changed: PropertyValues): void {
    this.dataset["state"] = this.state;
    if (changed.has("state") && this.hasUpdated) this.dispatchEvent(new CustomEvent("state", { detail: this.state }));
  }

  override updated(changed: PropertyValues): void {
    if (typeof changed.get("src") === "string" && this.#run) void this.play();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.stop();
  }

  override render(): TemplateResult {
    const enter = (state: DashState) => () => this.#follow(state);
    return html`
      <video playsinline .muted=${this.muted} aria-label="Recording"
        @playing=${enter("playing")} @pause=${enter("paused")} @waiting=${enter("loading")} @ended=${enter("ended")}
        @click=${() => this.#toggle()}></video>
      ${this.#overlay()} ${["idle", "waiting"].includes(this.state) ? nothing : this.#bar()}
    `;
  }

  #overlay(): TemplateResult | typeof nothing {
    const opaque = this.span[1] === 0 ? "opaque" : "";
    const again = (name: string) => html`<button class="text" @click=${() => void this.play()}>${name}</button>`;
    switch (this.state) {
      case "idle":
        return html`<div class="over opaque">
          <button class="big" aria-label="Play" @click=${() => void this.play()}>${icons.play}</button>
        </div>`;
      case "loading":
        return html`<div class="over ${opaque}" role="status"><span class="spin"></span><p>Loading…</p></div>`;
      case "waiting":
        return html`<div class="over opaque" role="status">${icons.wave}<p>The recording has just begun</p>
          <p class="sub">Playback starts by itself.</p></div>`;
      case "error":
        return html`<div class="over" role="alert"><span class="alert">${icons.alert}</span><p>${this.message}</p>
          ${again("Try again")}</div>`;
      case "ended":
        return html`<div class="over" role="status"><p>The recording ends here</p>${again("Play again")}</div>`;
      case "playing":
      case "paused":
        return nothing;
    }
  }

  #bar(): TemplateResult {
    const button = (name: string, icon: TemplateResult, action: () => void) => html`
      <button title=${name} aria-label=${name} @click=${action}>${icon}</button>
    `;
    const [from, to] = this.span;
    const at = Math.min(Math.max(this.wanted ?? this.at, from), to);
    // In tenths: the end of eight seconds is at 7.999999.
    const clock = (seconds: number) => duration(Math.round((seconds - from) * 10) * 100);
    const paused = this.state === "paused" || this.state === "ended" || this.state === "error";
    const value = (event: Event) => Number((event.target as HTMLInputElement).value);
    const seek = (event: Event) => {
      this.wanted = null;
      this.seek(value(event));
    };
    const rate = (event: Event) =>
      this.video && (this.video.playbackRate = Number((event.target as HTMLSelectElement).value));
    return html`<div class="bar">
      <input class="seek" type="range" aria-label="Position" min=${from} max=${to} step="any" .value=${String(at)}
        aria-valuetext=${`${clock(at)} of ${clock(to)}`} @input=${(event: Event) => (this.wanted = value(event))} @change=${seek} />
      ${button(paused ? "Play (k)" : "Pause (k)", paused ? icons.play : icons.pause, () => this.#toggle())}
      ${button(this.muted ? "Unmute (m)" : "Mute (m)", this.muted ? icons.silent : icons.sound, () => (this.muted = !this.muted))}
      <span class="time">${clock(at)} / ${clock(to)}</span>
      ${this.live ? html`<button class="live ${this.#atLive ? "" : "behind"}" aria-label="To the live edge" aria-pressed=${this.#atLive} @click=${() => this.#toLive()}>LIVE</button>` : nothing}
      <span class="space"></span>
      <select aria-label="Speed" @change=${rate}>
        ${RATES.map((speed) => html`<option value=${speed} ?selected=${speed === 1}>${speed}×</option>`)}
      </select>
      ${button("Full screen (f)", icons.expand, () => void fullscreen(this, this.video))}
    </div>`;
  }
}
