/** /tools/debugger.html: publishes and plays one stream side by side, and shows what is said. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { useGateway } from "../elements/base";
import { controls, tokens } from "../elements/theme";
import { layerId, layerName, WhepPlayer } from "../elements/whep-player";
import { WhipPublisher } from "../elements/whip-publisher";
import { Gateway } from "../lib/gateway";
import { debuggerParameters } from "../lib/parameters";
import type { Layer } from "../lib/session";
import { bareToken, storedToken } from "../lib/token";
import { ChannelBox } from "./channel-box";
import { SignIn } from "./sign-in";

type Side = "publisher" | "player";
type Kind = "audio" | "video";
interface Description {
  url: string;
  offer: string;
  answer: string;
}
const LOGGED = 300;
/** The rids of Live777's pages and of ours. */
const RANKS = [
  ["f", "High"],
  ["h", "Medium"],
  ["q", "Low"],
] as const;

class StreamDebugger extends LitElement {
  static override properties = {
    name: { state: true },
    log: { state: true },
    descriptions: { state: true },
    layers: { state: true },
    layer: { state: true },
    latency: { state: true },
    muted: { state: true },
    reason: { state: true },
  };
  declare private name: string;
  declare private log: readonly string[];
  declare private descriptions: Partial<Record<Side, Description>>;
  declare private layers: readonly Layer[];
  declare private layer: string | null;
  declare private latency: number | null;
  /** What the gateway was told to stop, as "publisher audio". */
  declare private muted: ReadonlySet<string>;
  declare private reason: string;
  readonly #gateway = new Gateway(new URL("../", location.href));
  readonly #parameters = debuggerParameters(location.search);

  static override styles = [
    tokens,
    controls,
    css`
    :host { display: block; min-height: 100vh; background: var(--ground); }
    .page { max-width: 1400px; margin: 0 auto; padding: 0 24px 48px; }
    .top { display: flex; flex-wrap: wrap; align-items: end; gap: 8px 16px; padding: 16px 0; }
    .top img { width: 30px; height: 30px; }
    .brand { display: flex; flex: 1; align-items: center; gap: 12px; min-height: 36px; color: inherit; text-decoration: none; }
    h1 { margin: 0; font-size: 20px; font-weight: 650; letter-spacing: -0.01em; white-space: nowrap; }
    .top label { width: 200px; }
    main { display: grid; grid-template: "publish play" auto "publish events" 1fr / minmax(0, 1fr) minmax(0, 1fr); gap: 20px; align-items: start; }
    section { display: grid; gap: 16px; min-width: 0; padding: 20px; border: 1px solid var(--line); border-radius: 12px; background: var(--surface); }
    .publish { grid-area: publish; }
    .play { grid-area: play; }
    .events { grid-area: events; }
    h2 { margin: 0; font-size: 15px; font-weight: 600; }
    h3 { margin: 0 0 6px; color: var(--muted); font-size: 12px; font-weight: 500; }
    whep-player { border-radius: var(--radius); }
    .row { display: flex; flex-wrap: wrap; align-items: end; justify-content: space-between; gap: 12px 20px; }
    .tabs { flex-wrap: wrap; }
    .tabs button { flex: 1 0 auto; }
    .text { min-height: 0; padding: 0 4px; border: 0; background: none; color: var(--focus); text-decoration: underline; }
    .latency { min-width: 110px; font-size: 22px; font-weight: 600; font-variant-numeric: tabular-nums; line-height: 38px; }
    .latency small { color: var(--muted); font-size: 13px; font-weight: 400; }
    summary { cursor: pointer; font-weight: 500; }
    pre { margin: 8px 0 0; padding: 10px 12px; overflow: auto; border-radius: var(--radius); background: var(--sunken);
      font: 12px/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
    .sdp { max-height: 360px; }
    .log { min-height: 120px; max-height: 300px; margin: 0; }
    @media (max-width: 900px) {
      .page { padding: 0 16px 32px; }
      main { grid-template: "publish" "play" "events" / minmax(0, 1fr); gap: 16px; }
      section { padding: 16px; }
      .brand { flex-basis: 100%; }
      .top label { flex: 1; width: auto; }
    }
  `,
  ];

  constructor() {
    super();
    const { id, token } = this.#parameters;
    this.name = id || "demo";
    this.log = [];
    this.descriptions = {};
    this.layers = [];
    this.layer = this.latency = null;
    this.muted = new Set();
    this.reason = "";
    this.#gateway.token = bareToken(token) || storedToken();
    useGateway(this.#gateway);
  }

  get #publisher(): WhipPublisher | null {
    return this.renderRoot.querySelector("whip-publisher");
  }

  get #player(): WhepPlayer | null {
    return this.renderRoot.querySelector("whep-player");
  }

  #note(side: Side, text: string): void {
    const time = new Date().toISOString().slice(11, 23);
    this.log = [...this.log, `${time}  ${side.padEnd(9)}  ${text}`].slice(-LOGGED);
  }

  /** Does something at the gateway; what it answers is noted. */
  async #try(side: Side, what: string, action: () => Promise<void> | undefined): Promise<void> {
    try {
      await action();
      this.#note(side, what);
    } catch (error) {
      this.#note(side, `${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #follow(side: Side): Record<string, (event: CustomEvent) => void> {
    return {
      state: ({ detail: { state, message } }) => {
        this.#note(side, message ? `${state}: ${message}` : state);
        if (side === "player" && state === "playing") void this.#loadLayers();
      },
      error: ({ detail: { message, status } }) => {
        if (status === 401) this.#ask(message);
      },
      session: ({ detail }) => {
        this.descriptions = { ...this.descriptions, [side]: detail as Description };
        this.muted = new Set([...this.muted].filter((each) => !each.startsWith(side)));
        if (side === "player") this.layer = null;
        this.#note(side, `session ${new URL(detail.url).pathname}`);
      },
      message: ({ detail: { data } }) => {
        this.#box(side)?.receive(data);
        this.#note(
          side,
          `message of ${data.length ?? data.byteLength}${typeof data === "string" ? " characters" : " bytes"}`,
        );
      },
      stats: () => {
        if (side === "player") this.latency = this.#player?.latency ?? null;
      },
    };
  }

  #box(side: Side): ChannelBox | null {
    return this.renderRoot.querySelector(`channel-box.${side}`);
  }

  #ask(reason: string): void {
    this.reason = reason;
    void this.renderRoot.querySelector<SignIn>("sign-in")?.open();
  }

  async #loadLayers(): Promise<void> {
    const player = this.#player;
    this.layers = [];
    try {
      await player?.loadLayers();
      this.layers = player?.layers ?? [];
      const names = this.layers.map((layer) =>
        layer.width ? `${layerId(layer)} ${layerName(layer)}` : layerId(layer),
      );
      this.#note("player", `layers: ${names.join(", ") || "none"}`);
    } catch (error) {
      this.#note("player", `layers: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  override updated(): void {
    const list = this.renderRoot.querySelector(".log");
    list?.scrollTo(0, list.scrollHeight);
  }

  override render(): TemplateResult {
    const { audioCodec, videoCodec, fps, lowLatency } = this.#parameters;
    const [publisher, player] = [this.#follow("publisher"), this.#follow("player")];
    const name = (event: Event) => (this.name = (event.target as HTMLInputElement).value.trim());
    const token = (event: Event) => (this.#gateway.token = bareToken((event.target as HTMLInputElement).value));
    return html`<div class="page">
      <header class="top">
        <a class="brand" href="../" title="To the list of streams"><img src="../favicon.svg" alt="" /><h1>Debugger</h1></a>
        <label>Stream name
          <input .value=${this.name} @change=${name} spellcheck="false" autocapitalize="off" autocomplete="off" maxlength="128" />
        </label>
        <label>Token
          <input type="password" .value=${this.#gateway.token} @change=${token} autocomplete="off" placeholder="none" />
        </label>
      </header>
      <main>
        <section class="publish" aria-label="Publish">
          <h2>Publish (WHIP)</h2>
          <whip-publisher .stream=${this.name} source="pattern" size="960x540" fps=${fps} codec=${videoCodec} audiocodec=${audioCodec}
            controls advanced datachannel @state=${publisher["state"]} @error=${publisher["error"]}
            @session=${publisher["session"]} @message=${publisher["message"]}></whip-publisher>
          <div class="row">${this.#mutes("publisher")}</div>
          ${this.#channel("publisher")} ${this.#descriptions("publisher")}
        </section>
        <section class="play" aria-label="Play">
          <h2>Play (WHEP)</h2>
          <whep-player .stream=${this.name} controls muted datachannel ?lowlatency=${lowLatency} @state=${player["state"]}
            @error=${player["error"]} @session=${player["session"]} @message=${player["message"]} @stats=${player["stats"]}></whep-player>
          <div class="row">${this.#layers()} ${this.#latency()}</div>
          <div class="row">${this.#mutes("player")}</div>
          ${this.#channel("player")} ${this.#descriptions("player")}
        </section>
        <section class="events" aria-label="Events">
          <h2>Events</h2>
          <pre class="log" role="log" aria-label="Event log" tabindex="0">${this.log.join("\n")}</pre>
        </section>
      </main>
      <sign-in .reason=${this.reason} @signed=${({ detail }: CustomEvent<string>) => this.#signed(detail)}></sign-in>
    </div>`;
  }

  #signed(token: string): void {
    this.#gateway.token = token;
    this.requestUpdate();
  }

  #layers(): TemplateResult {
    const choose = (id: string | null, what: string) =>
      this.#try("player", `layer ${what}`, async () => {
        await this.#player?.selectLayer(id);
        this.layer = id;
      });
    const button = (id: string | null, name: string, more: string) => html`
      <button aria-pressed=${this.layer === id} title=${more} @click=${() => choose(id, id ?? "auto")}>${name}</button>
    `;
    const entries = ranked(this.layers).map(([name, layer]) =>
      button(layerId(layer), name, `${layerId(layer)}: ${layerName(layer)}`),
    );
    return html`<div>
      <h3>Layer <button class="text" @click=${() => this.#loadLayers()}>Refresh</button></h3>
      <div class="tabs" role="group" aria-label="Layer">
        ${button(null, "Auto", "The gateway chooses")} ${entries}
      </div>
    </div>`;
  }

  #latency(): TemplateResult {
    const title = "From drawing to display of the test pattern; publisher and player need the same clock";
    return html`<div title=${title}>
      <h3>Latency, glass to glass</h3>
      <div class="latency" aria-label="Latency">${this.latency === null ? html`<small>needs the test pattern</small>` : html`${this.latency} ms`}</div>
    </div>`;
  }

  #mutes(side: Side): TemplateResult {
    const element = () => (side === "publisher" ? this.#publisher : this.#player);
    const toggle = (kind: Kind) => {
      const key = `${side} ${kind}`;
      const muted = !this.muted.has(key);
      return this.#try(side, `${kind} ${muted ? "stopped" : "resumed"}`, async () => {
        await element()?.session?.mute(kind, muted);
        const all = new Set(this.muted);
        if (muted) all.add(key);
        else all.delete(key);
        this.muted = all;
      });
    };
    const button = (kind: Kind) => {
      const stopped = this.muted.has(`${side} ${kind}`);
      return html`<button aria-pressed=${stopped} ?disabled=${!this.descriptions[side]} @click=${() => toggle(kind)}>${stopped ? "Resume" : "Stop"} ${kind}</button>`;
    };
    const title = side === "publisher" ? "At the gateway, for all viewers" : "At the gateway, for this player";
    return html`<div><h3>${title}</h3><div class="row">${button("video")} ${button("audio")}</div></div>`;
  }

  #channel(side: Side): TemplateResult {
    const peer = side === "publisher" ? this.#publisher : this.#player;
    const aim = side === "publisher" ? "to every player" : "to the publisher";
    return html`<div>
      <h3>Data channel, ${aim}</h3>
      <channel-box class=${side} .peer=${peer} @sent=${() => this.#note(side, "message sent")}></channel-box>
    </div>`;
  }

  #descriptions(side: Side): unknown {
    const description = this.descriptions[side];
    if (!description) return nothing;
    const block = (name: string, text: string) => html`
      <details><summary>${name}</summary><pre class="sdp" tabindex="0">${text}</pre></details>
    `;
    return html`<div>${block("SDP offer", description.offer)} ${block("SDP answer", description.answer)}</div>`;
  }

  override firstUpdated(): void {
    // The boxes need the elements that are rendered with them.
    this.requestUpdate();
  }
}

/** The layers with what people call them, the best first; one that sends nothing has no size to tell its rank. */
function ranked(layers: readonly Layer[]): [string, Layer][] {
  const known = RANKS.filter(([rid]) => layers.some(({ encodingId }) => encodingId === rid));
  if (known.length < layers.length) return layers.map((layer) => [layerId(layer), layer]);
  return known.flatMap(([rid, name]) =>
    layers.filter(({ encodingId }) => encodingId === rid).map((layer): [string, Layer] => [name, layer]),
  );
}

const elements: [string, CustomElementConstructor][] = [
  ["channel-box", ChannelBox],
  ["sign-in", SignIn],
  ["whep-player", WhepPlayer],
  ["whip-publisher", WhipPublisher],
  ["stream-debugger", StreamDebugger],
];
for (const [name, element] of elements) customElements.define(name, element);
