/** `<whip-publisher>`: publishes the camera, the screen or a test pattern by WHIP. */

import { css, html, nothing, type PropertyValues, type TemplateResult } from "lit";
import { GatewayError } from "../lib/errors";
import { bitrate, codecName } from "../lib/format";
import type { Stats } from "../lib/stats";
import { sendCodecs, WhipClient } from "../lib/whip";
import { MediaElement } from "./base";
import * as icons from "./icons";
import { TestPattern } from "./test-pattern";
import { controls, tokens } from "./theme";

export type PublisherState = "idle" | "preparing" | "connecting" | "live" | "ended" | "error";
type Source = "camera" | "screen" | "pattern";
/** Value and text of an entry to choose. */
type Option = [string, string];

const SOURCES: [Source, string][] = [
  ["camera", "Camera"],
  ["screen", "Screen"],
  ["pattern", "Test pattern"],
];
const HINTS: Record<Source, string> = {
  camera: "Camera and microphone",
  screen: "A screen, window or tab: the browser asks which",
  pattern: "Colour bars, a clock with milliseconds, a beep each second",
};
const SIZES = ["640x360", "960x540", "1280x720", "1920x1080"];
const FRAMES = [15, 25, 30, 60];
const LAYERS: Option[] = [
  ["", "None"],
  ["2", "Simulcast, 2 sizes"],
  ["3", "Simulcast, 3 sizes"],
  ...["L1T2", "L1T3", "L2T3_KEY", "L3T3_KEY"].map((mode): Option => [mode, `SVC ${mode}`]),
];
const RATES = [0, 500, 1000, 2500, 5000, 10000];
const INSECURE =
  "Browsers give the camera and the screen only to pages from https:// or localhost. The test pattern works here.";

export class WhipPublisher extends MediaElement<PublisherState> {
  static override properties = {
    ...MediaElement.properties,
    source: { reflect: true },
    codec: {},
    bitrate: { type: Number },
    size: {},
    fps: { type: Number },
    layers: {},
    audiocodec: {},
    advanced: { type: Boolean },
    autostart: { type: Boolean },
    devices: { state: true },
    camera: { state: true },
    microphone: { state: true },
    media: { state: true },
  };
  declare source: Source;
  declare codec: string;
  /** Upper bound in kbit/s; 0: the browser decides. */
  declare bitrate: number;
  declare size: string;
  declare fps: number;
  /** 2 or 3: simulcast; else a scalability mode such as L1T3; empty: one encoding. */
  declare layers: string;
  declare audiocodec: string;
  /** With `controls`: also shows the choice of layers and of the audio codec. */
  declare advanced: boolean;
  declare autostart: boolean;
  declare private devices: MediaDeviceInfo[];
  declare private camera: string;
  declare private microphone: string;
  declare private media: MediaStream | null;
  #release: () => void = () => undefined;
  #attempt = 0;

  static override styles = [
    tokens,
    controls,
    css`
    :host { display: grid; gap: 14px; min-width: 0; }
    .preview { position: relative; aspect-ratio: 16 / 9; overflow: hidden; border-radius: var(--radius); background: #0e0f11; color: #b9bbc0; }
    video { width: 100%; height: 100%; object-fit: contain; }
    video.mirror { transform: scaleX(-1); }
    .hint { position: absolute; inset: 0; display: grid; place-content: center; padding: 20px; text-align: center; }
    .badge { position: absolute; top: 10px; left: 10px; padding: 2px 8px; border-radius: 5px; background: rgb(0 0 0 / 0.65); color: #fff; font-size: 12px; font-weight: 600; }
    .badge.on { background: #c8321c; letter-spacing: 0.04em; }
    .fields { display: grid; grid-template-columns: 1fr 1fr; gap: 10px 12px; }
    .wide { grid-column: 1 / -1; }
    .go { min-height: 42px; }
    .numbers { min-height: 1.4em; margin: 0; }
  `,
  ];

  constructor() {
    super("idle", "out");
    this.source = "camera";
    this.codec = "";
    this.bitrate = 0;
    this.size = "1280x720";
    this.fps = 30;
    this.layers = this.audiocodec = "";
    this.advanced = this.autostart = false;
    this.devices = [];
    this.camera = this.microphone = "";
    this.media = null;
  }

  /** Takes the source and publishes it. */
  async start(): Promise<void> {
    const url = this.endpoint("whip");
    await this.stop();
    const attempt = ++this.#attempt;
    if (!url) return this.#refuse("Give the stream a name first.");
    this.#enter("preparing");
    let media: MediaStream;
    let release: () => void;
    try {
      ({ media, release } = await this.#capture());
    } catch (error) {
      if (attempt === this.#attempt) this.#refuse(captureProblem(error));
      return;
    }
    if (attempt !== this.#attempt) return release();
    this.media = media;
    this.#release = release;
    const video = media.getVideoTracks()[0];
    if (video) video.contentHint = this.source === "screen" ? "detail" : "motion";
    for (const track of media.getTracks())
      track.addEventListener("ended", () => this.media === media && void this.stop());
    const client = new WhipClient({
      ...this.clientOptions(url),
      stream: media,
      codec: this.codec,
      audioCodec: this.audiocodec,
      layers: this.layers,
      bitrate: this.bitrate,
      fps: this.fps,
      onState: () => this.client === client && this.#follow(client),
    });
    this.run(client);
    if (this.source === "camera") this.devices = await navigator.mediaDevices.enumerateDevices();
  }

  /** Ends the session and gives the source back. */
  override async stop(): Promise<void> {
    this.#attempt++;
    const stopped = this.halt();
    this.#drop();
    this.#enter("idle");
    await stopped;
  }

  override firstUpdated(): void {
    if (this.autostart) void this.start();
  }

  override updated(changed: PropertyValues): void {
    const video = this.renderRoot.querySelector("video");
    if (changed.has("media") && video) video.srcObject = this.media;
  }

  async #capture(): Promise<{ media: MediaStream; release: () => void }> {
    const [width = 1280, height = 720] = this.size.split("x").map(Number);
    if (this.source === "pattern") {
      const pattern = new TestPattern(width, height, this.fps);
      return { media: pattern.stream, release: () => pattern.stop() };
    }
    if (!window.isSecureContext) throw new GatewayError(INSECURE);
    const choice = (id: string) => (id ? { deviceId: { exact: id } } : {});
    const media =
      this.source === "camera"
        ? await navigator.mediaDevices.getUserMedia({
            video: {
              width: { ideal: width },
              height: { ideal: height },
              frameRate: { ideal: this.fps },
              ...choice(this.camera),
            },
            audio: this.microphone === "none" ? false : choice(this.microphone),
          })
        : await navigator.mediaDevices.getDisplayMedia({
            video: { width: { max: width }, height: { max: height }, frameRate: { max: this.fps } },
            audio: true,
          });
    return { media, release: () => media.getTracks().forEach((track) => track.stop()) };
  }

  #drop(): void {
    this.media = null;
    this.#release();
    this.#release = () => undefined;
  }

  #follow(client: WhipClient): void {
    const { state, failure } = client;
    if (state === "connecting" && this.state !== "connecting") this.#enter("connecting");
    if (state === "connected") this.#enter("live");
    if (state === "retrying") this.#enter("connecting", `${failure?.message ?? ""} Trying again.`);
    if (state === "closed" || state === "failed") {
      this.#drop();
      this.#enter(state === "closed" ? "ended" : "error", failure?.message);
    }
    if (failure) this.fail(failure);
  }

  #refuse(message: string): void {
    this.#enter("error", message);
    this.fail(new GatewayError(message));
  }

  #enter(state: PublisherState, message = ""): void {
    this.message = message;
    this.state = state;
  }

  override render(): TemplateResult {
    const running = ["preparing", "connecting", "live"].includes(this.state);
    const badge = { live: "LIVE", connecting: "Connecting…", preparing: "Waiting for permission…" }[
      this.state as string
    ];
    return html`
      ${this.controls ? this.#sources(running) : nothing}
      <div class="preview">
        <video
          class=${this.source === "camera" ? "mirror" : ""}
          autoplay
          playsinline
          .muted=${true}
          aria-label="Preview"
        ></video>
        ${this.media ? nothing : html`<div class="hint">${HINTS[this.source]}</div>`}
        ${badge ? html`<span class="badge ${this.state === "live" ? "on" : ""}" role="status">${badge}</span>` : nothing}
      </div>
      ${this.message ? html`<p class="notice" role="alert">${this.message}</p>` : nothing}
      ${this.controls ? this.#settings(running) : nothing}
      ${
        running
          ? html`<button class="danger go" @click=${() => this.stop()}>${icons.stop} Stop publishing</button>`
          : html`<button class="primary go" @click=${() => this.start()}>${icons.wave} Start publishing</button>`
      }
      ${this.reading ? html`<p class="numbers">${describe(this.reading)}</p>` : nothing}
    `;
  }

  #sources(running: boolean): TemplateResult {
    const tab = ([source, name]: [Source, string]) =>
      html`<button aria-pressed=${this.source === source} ?disabled=${running} @click=${() => (this.source = source)}>${name}</button>`;
    return html`<div class="tabs" role="group" aria-label="Source">${SOURCES.map(tab)}</div>`;
  }

  #settings(running: boolean): TemplateResult {
    const choice = (name: string, value: string, options: Option[], set: (value: string) => void, wide = false) => html`
      <label class=${wide ? "wide" : ""}>${name}
        <select ?disabled=${running} @change=${(event: Event) => set((event.target as HTMLSelectElement).value)}>
          ${options.map(([key, text]) => html`<option value=${key} ?selected=${key === value}>${text}</option>`)}
        </select>
      </label>`;
    const codec = this.codec.toUpperCase();
    const codecs = options(["", ...sendCodecs("video")], codec, (name) => name || "Automatic");
    const audioCodecs = options(["", ...sendCodecs("audio")], this.audiocodec, (name) =>
      name ? codecName(name) : "Automatic",
    );
    const rates = options(RATES, this.bitrate, (rate) => (rate ? bitrate(rate * 1000) : "Automatic"));
    const sizes = options(SIZES, this.size, (size) => size.replace("x", " × "));
    const frames = options(FRAMES, this.fps, String);
    const cameras = this.#devices("videoinput", "camera");
    const microphones: Option[] = [...this.#devices("audioinput", "microphone"), ["none", "No sound"]];
    const devices = () => [
      choice("Camera", this.camera, cameras, (id) => (this.camera = id), true),
      choice("Microphone", this.microphone, microphones, (id) => (this.microphone = id), true),
    ];
    return html`<div class="fields">
      ${this.source === "camera" ? devices() : nothing}
      ${choice("Video codec", codec, codecs, (name) => (this.codec = name))}
      ${choice("Bitrate at most", String(this.bitrate), rates, (rate) => (this.bitrate = Number(rate)))}
      ${choice("Size", this.size, sizes, (size) => (this.size = size))}
      ${choice("Frames per second", String(this.fps), frames, (fps) => (this.fps = Number(fps)))}
      ${
        this.advanced
          ? [
              choice("Layers", this.layers, LAYERS, (layers) => (this.layers = layers)),
              choice("Audio codec", this.audiocodec, audioCodecs, (name) => (this.audiocodec = name)),
            ]
          : nothing
      }
    </div>`;
  }

  #devices(kind: MediaDeviceKind, name: string): Option[] {
    const known = this.devices.filter((device) => device.kind === kind && !["", "default"].includes(device.deviceId));
    return [["", `Default ${name}`], ...known.map(({ deviceId, label }): Option => [deviceId, label || name])];
  }
}

/** The usual values, and the one that an attribute asked for. */
function options<T extends string | number>(usual: readonly T[], value: T, text: (value: T) => string): Option[] {
  return [...new Set([...usual, value])].map((each) => [String(each), text(each)]);
}

function captureProblem(error: unknown): string {
  if (error instanceof DOMException) {
    if (error.name === "NotAllowedError") return "The browser was not allowed to use this source.";
    if (error.name === "NotFoundError") return "There is no such camera or microphone.";
    if (error.name === "NotReadableError") return "Another program is using the camera or microphone.";
  }
  return error instanceof Error ? error.message : String(error);
}

function describe(stats: Stats): string {
  const parts = [
    `${stats.width}×${stats.height}`,
    `${stats.fps} fps`,
    bitrate(stats.bitrate),
    [stats.videoCodec, stats.audioCodec].filter(Boolean).map(codecName).join(" + "),
    `RTT ${Math.round(stats.roundTrip)} ms`,
    `loss ${stats.loss.toFixed(1)} %`,
    stats.limitation === "none" ? "" : `held back by ${stats.limitation}`,
  ];
  const unbroken = parts.filter(Boolean).map((part) => part.replaceAll(" ", "\u00a0"));
  return unbroken.join(" · ");
}
