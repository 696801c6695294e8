/** /recordings.html: what was recorded and what is being recorded. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { DashPlayer } from "../elements/dash-player";
import * as icons from "../elements/icons";
import { controls, tokens } from "../elements/theme";
import { dateOf, type Day, dayOf } from "../lib/calendar";
import { GatewayError } from "../lib/errors";
import { bytes } from "../lib/format";
import { Gateway } from "../lib/gateway";
import { type Recording, Recordings } from "../lib/recordings";
import { storedToken, storeToken } from "../lib/token";
import { ConfirmButton } from "./confirm-button";
import { CopyButton } from "./copy-button";
import { layout } from "./layout";
import { MonthCalendar } from "./month-calendar";
import { RecordingCard } from "./recording-card";
import { RecordingThumbnail } from "./recording-thumbnail";
import { SignIn } from "./sign-in";

const POLL_MS = 10_000;
/** Cards that are drawn until more are asked for. */
const CARDS = 50;
const UNDATED = "";

class GatewayRecordings extends LitElement {
  static override properties = {
    recordings: { state: true },
    problem: { state: true },
    stream: { state: true },
    day: { state: true },
    playing: { state: true },
    shown: { state: true },
    signed: { state: true },
    locked: { state: true },
  };
  declare private recordings: readonly Recording[] | null;
  declare private problem: string;
  /** Empty: all streams. */
  declare private stream: string;
  /** Empty: all days. */
  declare private day: Day | "";
  /** The manifest that is played. */
  declare private playing: string;
  declare private shown: number;
  declare private signed: boolean;
  /** The API asked for a token. */
  declare private locked: boolean;
  readonly #gateway = new Gateway(new URL("./", location.href));
  #source = new Recordings(this.#gateway);
  readonly #wide = matchMedia("(min-width: 901px)").matches;
  #timer = 0;
  #asked = 0;

  static override styles = [
    tokens,
    controls,
    layout,
    css`
    main { display: grid; grid-template-columns: 300px minmax(0, 1fr); gap: 24px; align-items: start; }
    aside { position: sticky; top: 16px; display: grid; gap: 14px; padding: 16px; border: 1px solid var(--line); border-radius: 12px; background: var(--surface); }
    .list { display: grid; gap: 16px; min-width: 0; }
    h2 { margin: 0 0 8px; font-size: 14px; font-weight: 600; }
    .day { border: 1px solid var(--line); border-radius: 12px; background: var(--surface); }
    recording-card + recording-card { border-top: 1px solid var(--line); }
    summary { cursor: pointer; font-weight: 500; }
    details[open] summary { margin-bottom: 8px; }
    .wide summary { display: none; }
    .more { text-align: center; }
    @media (max-width: 900px) {
      main { grid-template-columns: minmax(0, 1fr); gap: 16px; }
      aside { position: static; }
      .wide summary { display: list-item; }
    }
  `,
  ];

  constructor() {
    super();
    this.recordings = null;
    this.problem = this.playing = this.day = "";
    this.stream = new URLSearchParams(location.search).get("stream") ?? "";
    this.shown = CARDS;
    this.locked = false;
    this.#gateway.token = storedToken();
    this.signed = this.#gateway.token !== "";
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.#load().then(() => this.#turnToNewest());
    this.#timer = window.setInterval(() => !document.hidden && !this.locked && void this.#load(), POLL_MS);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.#timer);
  }

  async #load(): Promise<void> {
    const asked = ++this.#asked;
    try {
      const recordings = await this.#source.list();
      if (asked !== this.#asked) return;
      this.recordings = recordings;
      this.problem = "";
      this.locked = false;
    } catch (error) {
      if (asked !== this.#asked) return;
      if (error instanceof GatewayError && error.status === 401) this.#lock();
      else this.problem = error instanceof Error ? error.message : String(error);
    }
  }

  /** The calendar begins where there is something to see. */
  #turnToNewest(): void {
    const newest = this.recordings?.find(({ startedAt }) => startedAt > 0);
    if (newest) this.renderRoot.querySelector<MonthCalendar>("month-calendar")?.show(dayOf(new Date(newest.startedAt)));
  }

  #lock(): void {
    this.locked = true;
    this.recordings = null;
    this.problem = this.signed ? "The gateway did not accept the token." : "This gateway asks for a token.";
    void this.renderRoot.querySelector<SignIn>("sign-in")?.open();
  }

  #sign(token: string): void {
    this.#gateway.token = token;
    this.#source = new Recordings(this.#gateway);
    this.signed = token !== "";
    this.recordings = null;
    void this.#load().then(() => this.#turnToNewest());
  }

  #signOut(): void {
    storeToken("", false);
    this.#sign("");
  }

  #choose(stream: string): void {
    this.stream = stream;
    this.shown = CARDS;
    history.replaceState(null, "", stream ? `?stream=${encodeURIComponent(stream)}` : location.pathname);
  }

  override render(): TemplateResult {
    const all = this.recordings ?? [];
    const ofStream = this.stream ? all.filter(({ stream }) => stream === this.stream) : all;
    const days = Map.groupBy(ofStream, day);
    const count = new Map([...days].map(([name, recordings]) => [name, recordings.length]));
    const listed = this.day ? (days.get(this.day) ?? []) : ofStream;
    return html`<div class="page">
      <header class="top">
        <a href="./" aria-label="Streams"><img src="favicon.svg" alt="" /></a>
        <h1>Recordings</h1>
        <span class="numbers">${this.recordings ? summary(listed) : ""}</span>
        <span class="space"></span>
        <a class="button" href="./">${icons.back} Streams</a>
        ${this.signed ? html`<button @click=${() => this.#signOut()}>Sign out</button>` : nothing}
      </header>
      <main>
        <aside aria-label="Filter">
          ${this.#streams(all)}
          <details class="wide" ?open=${this.#wide}>
            <summary>${this.day ? words(this.day) : "All days"}</summary>
            <month-calendar .days=${count} .chosen=${this.day} @choose=${this.#chooseDay}></month-calendar>
          </details>
          ${this.day ? html`<button @click=${() => (this.day = "")}>Show all days</button>` : nothing}
        </aside>
        <section class="list" aria-label="Recordings">
          ${
            this.problem
              ? html`<div class="notice" role="alert">${this.problem}
                ${this.locked ? html`<button class="primary" @click=${() => this.#lock()}>Sign in</button>` : nothing}</div>`
              : nothing
          }
          ${this.#list(listed)}
        </section>
      </main>
      <sign-in .reason=${this.problem} @signed=${({ detail }: CustomEvent<string>) => this.#sign(detail)}></sign-in>
    </div>`;
  }

  readonly #chooseDay = ({ detail }: CustomEvent<Day | "">) => {
    this.day = detail;
    this.shown = CARDS;
  };

  #streams(all: readonly Recording[]): TemplateResult {
    const names = [...new Set([...all.map(({ stream }) => stream), ...(this.stream ? [this.stream] : [])])].sort();
    const choose = (event: Event) => this.#choose((event.target as HTMLSelectElement).value);
    return html`<label>Stream
      <select @change=${choose}>
        <option value="" ?selected=${this.stream === ""}>All streams</option>
        ${names.map((name) => html`<option value=${name} ?selected=${name === this.stream}>${name}</option>`)}
      </select>
    </label>`;
  }

  #list(listed: readonly Recording[]): unknown {
    if (!this.recordings) return this.problem ? nothing : html`<div class="empty"><p>Loading…</p></div>`;
    if (listed.length === 0) {
      const filtered = this.stream || this.day;
      return html`<div class="empty"><strong>${filtered ? "No such recording" : "Nothing is recorded yet"}</strong>
        <p>${
          filtered
            ? html`<button @click=${() => (this.#choose(""), (this.day = ""))}>Show all</button>`
            : "Record a stream from the list of streams, or name patterns in recorder.auto_streams of the configuration."
        }</p></div>`;
    }
    const more = listed.length - this.shown;
    return html`${repeat(
      Map.groupBy(listed.slice(0, this.shown), day),
      ([name]) => name,
      ([name, recordings]) => html`<section aria-label=${words(name)}>
        <h2>${words(name)}</h2>
        <div class="day">${repeat(
          recordings,
          ({ manifest }) => manifest,
          (recording) => this.#card(recording),
        )}</div>
      </section>`,
    )}
    ${more > 0 ? html`<div class="more"><button @click=${() => (this.shown += 4 * CARDS)}>Show ${more} more</button></div>` : nothing}`;
  }

  #card(recording: Recording): TemplateResult {
    const playing = recording.manifest === this.playing;
    return html`<recording-card .recording=${recording} .recordings=${this.#source} .gateway=${this.#gateway} .playing=${playing}
      @toggle=${() => (this.playing = playing ? "" : recording.manifest)} @changed=${() => void this.#load()}></recording-card>`;
  }
}

const day = ({ startedAt }: Recording): Day => (startedAt > 0 ? dayOf(new Date(startedAt)) : UNDATED);

function words(name: Day): string {
  if (name === UNDATED) return "Without a date";
  return dateOf(name).toLocaleDateString(navigator.language, {
    weekday: "long",
    day: "numeric",
    month: "long",
    year: "numeric",
  });
}

function summary(recordings: readonly Recording[]): string {
  const size = recordings.reduce((sum, { bytes: count }) => sum + count, 0);
  const active = recordings.filter(({ status }) => status === "Active").length;
  return [
    recordings.length === 1 ? "1 recording" : `${recordings.length} recordings`,
    ...(active > 0 ? [`${active} running`] : []),
    ...(size > 0 ? [bytes(size)] : []),
  ].join(" · ");
}

const elements: [string, CustomElementConstructor][] = [
  ["copy-button", CopyButton],
  ["confirm-button", ConfirmButton],
  ["dash-player", DashPlayer],
  ["month-calendar", MonthCalendar],
  ["recording-thumbnail", RecordingThumbnail],
  ["recording-card", RecordingCard],
  ["sign-in", SignIn],
  ["gateway-recordings", GatewayRecordings],
];
for (const [name, element] of elements) customElements.define(name, element);
