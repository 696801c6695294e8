/** The page `/`: what is live, and how to publish. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { useGateway } from "../elements/base";
import { controls, tokens } from "../elements/theme";
import { WhepPlayer } from "../elements/whep-player";
import { WhipPublisher } from "../elements/whip-publisher";
import { GatewayError } from "../lib/errors";
import { bitrate } from "../lib/format";
import { Gateway, type Snapshot, type StreamInfo } from "../lib/gateway";
import { CopyButton } from "./copy-button";
import { PublishGuide } from "./publish-guide";
import { isOpen, StreamCard } from "./stream-card";

const TOKEN_KEY = "live777py.token";

class GatewayHome extends LitElement {
  static override properties = {
    snapshot: { state: true },
    problem: { state: true },
    version: { state: true },
    name: { state: true },
    playing: { state: true },
    signed: { state: true },
    locked: { state: true },
  };
  declare private snapshot: Snapshot | null;
  declare private problem: string;
  declare private version: string;
  declare private name: string;
  declare private playing: ReadonlySet<string>;
  declare private signed: boolean;
  /** The API asked for a token. */
  declare private locked: boolean;
  readonly #gateway = new Gateway(new URL("./", location.href));
  #watch: ReturnType<Gateway["watch"]> | null = null;

  static override styles = [
    tokens,
    controls,
    css`
    :host { display: block; min-height: 100vh; background: var(--ground); }
    .page { max-width: 1240px; margin: 0 auto; padding: 0 24px 48px; }
    .top { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 12px; min-height: 72px; }
    .top img { width: 30px; height: 30px; }
    h1 { margin: 0; font-size: 20px; font-weight: 650; letter-spacing: -0.01em; }
    .top .space { flex: 1; }
    main { display: grid; grid-template: "streams publish" auto "guide publish" 1fr / minmax(0, 1fr) 384px; gap: 28px 32px; align-items: start; }
    .streams { grid-area: streams; display: grid; gap: 12px; min-width: 0; }
    .publish { grid-area: publish; }
    .guide { grid-area: guide; }
    .publish, .guide { display: grid; gap: 14px; min-width: 0; padding: 20px; border: 1px solid var(--line); border-radius: 12px; background: var(--surface); }
    h2 { margin: 0; font-size: 15px; font-weight: 600; }
    .streams > h2 { line-height: 28px; }
    .empty { padding: 44px 24px; border: 1px dashed var(--edge); border-radius: 12px; text-align: center; }
    .empty p { margin: 4px auto 0; max-width: 46ch; color: var(--muted); }
    .empty strong { font-size: 16px; font-weight: 600; }
    .bad { border-color: var(--live) !important; }
    .notice { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 8px 16px; }
    dialog { width: min(400px, calc(100vw - 32px)); padding: 24px; border: 1px solid var(--line); border-radius: 14px; background: var(--surface); color: var(--ink); }
    dialog::backdrop { background: rgb(0 0 0 / 0.5); }
    form { display: grid; gap: 16px; }
    form p { margin: -8px 0 0; color: var(--muted); }
    .remember { display: flex; align-items: center; gap: 8px; color: inherit; font-size: 14px; }
    .buttons { display: flex; justify-content: end; gap: 8px; }
    @media (max-width: 960px) {
      .page { padding: 0 16px 32px; }
      main { grid-template: "streams" "publish" "guide" / minmax(0, 1fr); gap: 20px; }
      .publish, .guide { padding: 16px; }
      .top { padding: 16px 0; }
      .top .numbers { order: 1; width: 100%; }
    }
  `,
  ];

  constructor() {
    super();
    this.snapshot = null;
    this.problem = this.version = "";
    this.name = "demo";
    this.playing = new Set();
    this.locked = false;
    this.#gateway.token = sessionStorage.getItem(TOKEN_KEY) ?? localStorage.getItem(TOKEN_KEY) ?? "";
    this.signed = this.#gateway.token !== "";
    useGateway(this.#gateway);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#listen();
    this.#gateway.version().then(
      (version) => (this.version = version),
      () => undefined,
    );
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#watch?.stop();
  }

  #listen(): void {
    this.#watch?.stop();
    this.#watch = this.#gateway.watch(
      (snapshot) => {
        this.snapshot = snapshot;
        this.problem = "";
        this.locked = false;
      },
      (error) => {
        if (error instanceof GatewayError && error.status === 401) this.#lock();
        else this.problem = `The list of streams is not up to date: ${error instanceof Error ? error.message : error}`;
      },
    );
  }

  #lock(): void {
    this.#watch?.stop();
    this.locked = true;
    this.snapshot = null;
    this.problem = this.signed ? "The gateway did not accept the token." : "This gateway asks for a token.";
    this.#ask();
  }

  #ask(): void {
    const dialog = this.renderRoot.querySelector("dialog");
    if (!dialog || dialog.open) return;
    dialog.querySelector("form")?.reset();
    dialog.showModal();
  }

  #sign(token: string, keep: boolean): void {
    this.#gateway.token = token.trim().replace(/^Bearer\s+/i, "");
    this.signed = this.#gateway.token !== "";
    for (const storage of [sessionStorage, localStorage]) storage.removeItem(TOKEN_KEY);
    if (this.signed) (keep ? localStorage : sessionStorage).setItem(TOKEN_KEY, this.#gateway.token);
    this.snapshot = null;
    this.#listen();
  }

  async #destroy(id: string): Promise<void> {
    if (this.playing.has(id)) this.#toggle(id);
    try {
      await this.#gateway.destroy(id);
    } catch (error) {
      this.problem = `${id}: ${error instanceof Error ? error.message : String(error)}`;
    }
    this.#watch?.refresh();
  }

  #toggle(id: string): void {
    const playing = new Set(this.playing);
    if (!playing.delete(id)) playing.add(id);
    this.playing = playing;
  }

  override render(): TemplateResult {
    const named = this.name || "demo";
    return html`<div class="page">
      <header class="top">
        <img src="favicon.svg" alt="" />
        <h1>live777py</h1>
        <span class="numbers">${this.#summary()}</span>
        <span class="space"></span>
        ${this.signed ? html`<button @click=${() => this.#sign("", false)}>Sign out</button>` : nothing}
      </header>
      <main>
        <section class="streams" aria-label="Streams">
          <h2>Streams</h2>
          ${
            this.problem
              ? html`<div class="notice" role="alert">${this.problem}
                ${this.locked ? html`<button class="primary" @click=${() => this.#ask()}>Sign in</button>` : nothing}</div>`
              : nothing
          }
          ${this.#streams()}
        </section>
        <section class="publish" aria-label="Publish from this browser">
          <h2>Publish from this browser</h2>
          <label>Stream name
            <input .value=${this.name} spellcheck="false" autocapitalize="off" autocomplete="off" placeholder="demo" maxlength="128"
              @input=${(event: Event) => (this.name = (event.target as HTMLInputElement).value.trim().replace(/[/\\]/g, "-"))} />
          </label>
          <whip-publisher .stream=${named} controls reconnect @state=${() => this.#watch?.refresh()}></whip-publisher>
        </section>
        <section class="guide" aria-label="Publish from a program, or embed">
          <h2>Publish “${named}” from a program, or embed it</h2>
          <publish-guide .gateway=${this.#gateway} .stream=${named} .signed=${this.signed}></publish-guide>
        </section>
      </main>
      ${this.#login()}
    </div>`;
  }

  #summary(): string {
    const streams = this.snapshot?.streams ?? [];
    const live = streams.filter(({ publish }) => publish.sessions.some(({ state }) => state === "connected"));
    const viewers = streams.reduce((sum, { subscribe }) => sum + subscribe.sessions.filter(isOpen).length, 0);
    const rate = streams.reduce((sum, { stats }) => sum + stats.publish.bitrate, 0);
    const parts = this.snapshot ? [`${live.length} live`, `${viewers} watching`, `${bitrate(rate)} in`] : [];
    return [...(this.version ? [this.version] : []), ...parts].join(" · ");
  }

  #streams(): unknown {
    if (!this.snapshot) return this.problem ? nothing : html`<div class="empty"><p>Loading…</p></div>`;
    if (this.snapshot.streams.length === 0) {
      return html`<div class="empty"><strong>Nothing is live yet</strong>
        <p>Publish from this browser, or paste the address below into OBS or FFmpeg. The stream appears here by itself.</p></div>`;
    }
    const { now } = this.snapshot;
    const card = (info: StreamInfo) => html`
      <stream-card .info=${info} .gateway=${this.#gateway} .now=${now} .playing=${this.playing.has(info.id)}
        @toggle=${() => this.#toggle(info.id)} @destroy=${() => this.#destroy(info.id)}></stream-card>
    `;
    return repeat(this.snapshot.streams, ({ id }) => id, card);
  }

  #login(): TemplateResult {
    const submit = (event: SubmitEvent) => {
      const data = new FormData(event.target as HTMLFormElement);
      this.#sign(String(data.get("token") ?? ""), data.has("keep"));
    };
    return html`<dialog aria-label="Sign in">
      <form method="dialog" @submit=${submit}>
        <h2>Sign in</h2>
        <p>${this.locked ? this.problem : nothing}</p>
        <label>Token <input name="token" type="password" required autocomplete="current-password" autofocus /></label>
        <label class="remember"><input name="keep" type="checkbox" /> Remember on this device</label>
        <div class="buttons">
          <button type="button" @click=${() => this.renderRoot.querySelector("dialog")?.close()}>Cancel</button>
          <button class="primary">Sign in</button>
        </div>
      </form>
    </dialog>`;
  }
}

customElements.define("copy-button", CopyButton);
customElements.define("stream-card", StreamCard);
customElements.define("publish-guide", PublishGuide);
customElements.define("whep-player", WhepPlayer);
customElements.define("whip-publisher", WhipPublisher);
customElements.define("gateway-home", GatewayHome);
