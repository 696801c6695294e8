/** The page `/`: what is live, and how to publish. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { useGateway } from "../elements/base";
import * as icons from "../elements/icons";
import { controls, tokens } from "../elements/theme";
import { WhepPlayer } from "../elements/whep-player";
import { WhipPublisher } from "../elements/whip-publisher";
import { GatewayError } from "../lib/errors";
import { bitrate } from "../lib/format";
import { Gateway, isOpen, type StreamInfo } from "../lib/gateway";
import { History } from "../lib/history";
import { Recordings } from "../lib/recordings";
import { storedToken, storeToken } from "../lib/token";
import { ClientsDialog } from "./clients-dialog";
import { ConfirmButton } from "./confirm-button";
import { CopyButton } from "./copy-button";
import { layout } from "./layout";
import { PublishGuide } from "./publish-guide";
import { SignIn } from "./sign-in";
import { CascadeDialog, CreateDialog } from "./stream-dialogs";
import { StreamPanel } from "./stream-panel";
import { StreamTable } from "./stream-table";
import { TimePlot } from "./time-plot";

/** Samples of the plots: one in two seconds, for ten minutes. */
const SAMPLE_MS = 2_000;
const SAMPLES = 300;
/** How often the streams that are being recorded are asked for. */
const RECORDED_MS = 5_000;

class GatewayHome extends LitElement {
  static override properties = {
    streams: { state: true },
    problem: { state: true },
    version: { state: true },
    name: { state: true },
    filter: { state: true },
    clients: { state: true },
    now: { state: true },
    signed: { state: true },
    locked: { state: true },
    recording: { state: true },
    rooms: { state: true },
  };
  declare private streams: StreamInfo[] | null;
  declare private problem: string;
  declare private version: string;
  declare private name: string;
  declare private filter: string;
  /** Whose clients the dialog shows. */
  declare private clients: string;
  /** The gateway's clock, ms since the epoch. */
  declare private now: number;
  declare private signed: boolean;
  /** The API asked for a token. */
  declare private locked: boolean;
  /** Streams that are being recorded; null: the gateway does not record. */
  declare private recording: ReadonlySet<string> | null;
  /** The gateway has LiveKit's API. */
  declare private rooms: boolean;
  readonly #gateway = new Gateway(new URL("./", location.href));
  readonly #recordings = new Recordings(this.#gateway);
  readonly #history = new History(SAMPLES);
  #clockOffset = 0;
  #watch = new AbortController();
  #timer = 0;
  #recorder = 0;
  #sampled = 0;

  static override styles = [
    tokens,
    controls,
    layout,
    css`
    .page { max-width: 1480px; }
    main { display: grid; grid-template: "streams publish" auto "guide publish" 1fr / minmax(0, 1fr) 330px; gap: 24px; align-items: start; }
    .streams { grid-area: streams; display: grid; gap: 12px; min-width: 0; }
    .publish { grid-area: publish; }
    .guide { grid-area: guide; }
    .publish, .guide { display: grid; gap: 14px; min-width: 0; padding: 20px; border: 1px solid var(--line); border-radius: 12px; background: var(--surface); }
    h2 { margin: 0; font-size: 15px; font-weight: 600; }
    .toolbar { display: flex; flex-wrap: wrap; align-items: center; gap: 8px; min-height: 36px; }
    .toolbar h2 { flex: 1; }
    .toolbar input { width: 190px; height: 34px; }
    .bad { border-color: var(--live) !important; }
    @media (max-width: 1080px) {
      .page { padding: 0 16px 32px; }
      main { grid-template: "streams" "publish" "guide" / minmax(0, 1fr); gap: 20px; }
      .publish, .guide { padding: 16px; }
      .top { padding: 16px 0; }
      .top .numbers { order: 1; width: 100%; }
      .toolbar h2 { flex: 1 0 100%; }
      .toolbar input { flex: 1; width: auto; min-width: 120px; }
    }
  `,
  ];

  constructor() {
    super();
    this.streams = null;
    this.problem = this.version = this.filter = this.clients = "";
    this.name = "demo";
    this.locked = this.rooms = false;
    this.recording = null;
    this.now = Date.now();
    this.#gateway.token = storedToken();
    this.signed = this.#gateway.token !== "";
    useGateway(this.#gateway);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#listen();
    this.#timer = window.setInterval(() => this.#tick(), 1000);
    this.#gateway.info().then(
      ({ version, features }) => {
        this.version = version;
        this.rooms = features.includes("livekit");
        if (features.includes("recorder") && this.isConnected) this.#followRecorder();
      },
      () => undefined,
    );
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.#timer);
    clearInterval(this.#recorder);
    this.#watch.abort();
  }

  #listen(): void {
    this.#watch.abort();
    this.#watch = new AbortController();
    void this.#gateway.watch(
      ({ streams, clockOffset }) => {
        this.streams = streams;
        this.#clockOffset = clockOffset;
        this.problem = "";
        this.locked = false;
        this.#tick();
      },
      (error) => {
        if (error instanceof GatewayError && error.status === 401) this.#lock();
        else this.problem = `The list of streams is not up to date: ${error instanceof Error ? error.message : error}`;
      },
      this.#watch.signal,
    );
  }

  #tick(): void {
    this.now = Date.now() + this.#clockOffset;
    if (!this.streams || this.problem || this.now - this.#sampled < SAMPLE_MS) return;
    this.#sampled = this.now;
    this.#history.record(this.streams, this.now);
  }

  #lock(): void {
    this.#watch.abort();
    this.locked = true;
    this.streams = null;
    this.problem = this.signed ? "The gateway did not accept the token." : "This gateway asks for a token.";
    void this.#dialog<SignIn>("sign-in")?.open();
  }

  #sign(token: string): void {
    this.#gateway.token = token;
    this.signed = token !== "";
    this.streams = null;
    this.#listen();
  }

  #signOut(): void {
    storeToken("", false);
    this.#sign("");
  }

  /** Does something with a stream; the page says why when it did not work. */
  async #act(id: string, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.problem = `${id}: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  #followRecorder(): void {
    this.recording = new Set();
    this.#recorder = window.setInterval(() => !document.hidden && void this.#readRecorder(), RECORDED_MS);
    void this.#readRecorder();
  }

  /** What cannot be read stays as it was: the list of streams tells of a gateway that is away or asks for a token. */
  async #readRecorder(): Promise<void> {
    if (this.locked) return;
    const recording = await this.#recordings.active().catch(() => null);
    if (recording) this.recording = recording;
  }

  async #record(id: string): Promise<void> {
    const running = this.recording?.has(id);
    await this.#act(id, () => (running ? this.#recordings.stop(id) : this.#recordings.start(id)));
    await this.#readRecorder();
  }

  #dialog<T extends HTMLElement>(name: string): T | null {
    return this.renderRoot.querySelector<T>(name);
  }

  override render(): TemplateResult {
    const named = this.name || "demo";
    const clients = this.streams?.find(({ id }) => id === this.clients);
    return html`<div class="page">
      <header class="top">
        <img src="favicon.svg" alt="" />
        <h1>live777py</h1>
        <span class="numbers">${this.#summary()}</span>
        <span class="space"></span>
        ${this.rooms ? html`<a class="button" href="rooms.html">${icons.people} Rooms</a>` : nothing}
        ${this.recording ? html`<a class="button" href="recordings.html">${icons.film} Recordings</a>` : nothing}
        <a class="button" href="api/docs" target="_blank">API</a>
        <a class="button" href=${this.#gateway.debugger(named)} target="_blank" rel="opener">${icons.debug} Debugger</a>
        ${this.signed ? html`<button @click=${() => this.#signOut()}>Sign out</button>` : nothing}
      </header>
      <main>
        <section class="streams" aria-label="Streams">
          ${this.#toolbar()}
          ${
            this.problem
              ? html`<div class="notice" role="alert">${this.problem}
                ${this.locked ? html`<button class="primary" @click=${() => this.#lock()}>Sign in</button>` : nothing}</div>`
              : nothing
          }
          ${this.#list()} ${this.#table()}
        </section>
        <section class="publish" aria-label="Publish from this browser">
          <h2>Publish from this browser</h2>
          <label>Stream name
            <input .value=${this.name} spellcheck="false" autocapitalize="off" autocomplete="off" placeholder="demo" maxlength="128"
              @input=${(event: Event) => (this.name = (event.target as HTMLInputElement).value.trim().replace(/[/\\]/g, "-"))} />
          </label>
          <whip-publisher .stream=${named} controls reconnect></whip-publisher>
        </section>
        <section class="guide" aria-label="Publish from a program, or embed">
          <h2>Publish “${named}” from a program, or embed it</h2>
          <publish-guide .gateway=${this.#gateway} .stream=${named} .signed=${this.signed}></publish-guide>
        </section>
      </main>
      <clients-dialog .gateway=${this.#gateway} .info=${clients} .now=${this.now}></clients-dialog>
      <cascade-dialog .gateway=${this.#gateway}></cascade-dialog>
      <create-dialog .gateway=${this.#gateway}></create-dialog>
      <sign-in .reason=${this.problem} @signed=${({ detail }: CustomEvent<string>) => this.#sign(detail)}></sign-in>
    </div>`;
  }

  #toolbar(): TemplateResult {
    const filter = (event: Event) => (this.filter = (event.target as HTMLInputElement).value);
    return html`<div class="toolbar">
      <h2>Streams</h2>
      <input type="search" placeholder="Filter" aria-label="Filter streams" .value=${this.filter} @input=${filter} />
      <button @click=${() => this.#dialog<CascadeDialog>("cascade-dialog")?.ask("", "pull")}>${icons.cascade} Pull</button>
      <button @click=${() => this.#dialog<CreateDialog>("create-dialog")?.open()}>${icons.plus} New stream</button>
    </div>`;
  }

  #summary(): string {
    const streams = this.streams ?? [];
    const live = streams.filter(({ publish }) => publish.sessions.some(({ state }) => state === "connected"));
    const viewers = streams.reduce((sum, { subscribe }) => sum + subscribe.sessions.filter(isOpen).length, 0);
    const total = (side: "publish" | "subscribe") => streams.reduce((sum, { stats }) => sum + stats[side].bitrate, 0);
    const rates = `${bitrate(total("publish"))} in · ${bitrate(total("subscribe"))} out`;
    const parts = this.streams ? [`${live.length} live`, `${viewers} watching`, rates] : [];
    return [...(this.version ? [this.version] : []), ...parts].join(" · ");
  }

  /** What is said in place of the table. */
  #list(): unknown {
    if (!this.streams) return this.problem ? nothing : html`<div class="empty"><p>Loading…</p></div>`;
    if (this.streams.length === 0) {
      return html`<div class="empty"><strong>Nothing is live yet</strong>
        <p>Publish from this browser, or paste the address below into OBS or FFmpeg. The stream appears here by itself.</p></div>`;
    }
    if (this.#filtered.length > 0) return nothing;
    return html`<div class="empty"><p>No stream is called like “${this.filter}”.</p>
      <p><button @click=${() => (this.filter = "")}>Show all</button></p></div>`;
  }

  get #filtered(): StreamInfo[] {
    const wanted = this.filter.trim().toLowerCase();
    return (this.streams ?? []).filter(({ id }) => id.toLowerCase().includes(wanted));
  }

  /** Stays while it is empty: its open rows are open again when their streams are back. */
  #table(): TemplateResult {
    const streams = this.#filtered;
    const clients = ({ detail }: CustomEvent<string>) => {
      this.clients = detail;
      void this.#dialog<ClientsDialog>("clients-dialog")?.open();
    };
    const cascade = ({ detail }: CustomEvent<string>) => {
      const live = this.streams?.find(({ id }) => id === detail)?.publish.sessions.some(isOpen);
      void this.#dialog<CascadeDialog>("cascade-dialog")?.ask(detail, live ? "push" : "pull");
    };
    const destroy = ({ detail }: CustomEvent<string>) => this.#act(detail, () => this.#gateway.destroy(detail));
    return html`<stream-table ?hidden=${streams.length === 0} .streams=${streams} .gateway=${this.#gateway} .history=${this.#history}
      .now=${this.now} .recording=${this.recording} @clients=${clients} @cascade=${cascade} @destroy=${destroy}
      @record=${({ detail }: CustomEvent<string>) => this.#record(detail)}></stream-table>`;
  }
}

const elements: [string, CustomElementConstructor][] = [
  ["copy-button", CopyButton],
  ["confirm-button", ConfirmButton],
  ["time-plot", TimePlot],
  ["stream-panel", StreamPanel],
  ["stream-table", StreamTable],
  ["clients-dialog", ClientsDialog],
  ["cascade-dialog", CascadeDialog],
  ["create-dialog", CreateDialog],
  ["sign-in", SignIn],
  ["publish-guide", PublishGuide],
  ["whep-player", WhepPlayer],
  ["whip-publisher", WhipPublisher],
  ["gateway-home", GatewayHome],
];
// Live777's address of the recordings. A page that is left asks for no list of streams.
if (new URLSearchParams(location.search).get("view") === "recordings") location.replace("recordings.html");
else for (const [name, element] of elements) customElements.define(name, element);
