/** /rooms.html: the rooms of LiveKit's API and who is in them. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import * as icons from "../elements/icons";
import { controls, tokens } from "../elements/theme";
import type { ApiKey } from "../lib/access-token";
import { storedKey, storeKey } from "../lib/api-key";
import { GatewayError } from "../lib/errors";
import { isClosed, type Participant, type Room, Rooms } from "../lib/rooms";
import { ConfirmButton } from "./confirm-button";
import { CopyButton } from "./copy-button";
import { KeyDialog } from "./key-dialog";
import { layout } from "./layout";
import { ParticipantCard } from "./participant-card";
import { ParticipantDialog } from "./participant-dialog";
import { MetadataDialog, RoomDialog, SendDialog } from "./room-dialogs";
import { RoomPanel } from "./room-panel";
import { TokenDialog } from "./token-dialog";

const POLL_MS = 2_000;
const NO_KEY: ApiKey = { key: "", secret: "" };

class GatewayRooms extends LitElement {
  static override properties = {
    list: { state: true },
    participants: { state: true },
    chosen: { state: true },
    filter: { state: true },
    problem: { state: true },
    locked: { state: true },
    now: { state: true },
  };
  declare private list: readonly Room[] | null;
  /** Of the chosen room. */
  declare private participants: readonly Participant[] | null;
  /** Name of a room; empty: none. */
  declare private chosen: string;
  declare private filter: string;
  declare private problem: string;
  /** A key is needed, or another one. */
  declare private locked: boolean;
  declare private now: number;
  readonly #base = new URL("./", location.href);
  #rooms: Rooms;
  #signed: boolean;
  #timer = 0;
  #asked = 0;

  static override styles = [
    tokens,
    controls,
    layout,
    css`
    main { display: grid; grid-template-columns: 340px minmax(0, 1fr); gap: 24px; align-items: start; }
    .main-notice { margin-bottom: 16px; }
    nav { display: grid; gap: 12px; min-width: 0; }
    .toolbar { display: flex; gap: 8px; }
    .toolbar input { flex: 1; }
    ul { margin: 0; padding: 0; border: 1px solid var(--line); border-radius: 12px; background: var(--surface); list-style: none; overflow: hidden; }
    li + li { border-top: 1px solid var(--line); }
    li button { display: grid; grid-template-columns: minmax(0, 1fr) auto; justify-content: stretch; gap: 0 12px; width: 100%; padding: 10px 14px; border: 0;
      border-radius: 0; background: none; text-align: left; white-space: normal; }
    li button[aria-current] { box-shadow: inset 3px 0 var(--ink); background: var(--sunken); }
    li button:focus-visible { outline-offset: -2px; }
    li .name { font-weight: 600; overflow-wrap: anywhere; }
    li small { grid-column: 1 / -1; overflow: hidden; color: var(--muted); font-size: 12px; font-weight: 400; text-overflow: ellipsis; white-space: nowrap; }
    li .count { display: flex; align-items: center; gap: 4px; color: var(--muted); font-variant-numeric: tabular-nums; }
    .back { display: none; }
    @media (max-width: 900px) {
      main { grid-template-columns: minmax(0, 1fr); gap: 16px; }
      .back { display: inline-flex; justify-self: start; margin-bottom: 12px; }
      .narrow-hidden { display: none; }
    }
  `,
  ];

  constructor() {
    super();
    this.list = this.participants = null;
    this.chosen = new URLSearchParams(location.search).get("room") ?? "";
    this.filter = this.problem = "";
    this.locked = false;
    this.now = Date.now();
    const key = storedKey();
    this.#signed = key !== null;
    this.#rooms = new Rooms(this.#base, key ?? NO_KEY);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#timer = window.setInterval(() => !document.hidden && !this.locked && void this.#load(), POLL_MS);
    if (this.#signed) void this.#load();
    else this.#lock("LiveKit's API of this gateway asks for a key of [livekit.keys].");
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.#timer);
  }

  async #load(): Promise<void> {
    const asked = ++this.#asked;
    const chosen = this.chosen;
    try {
      const [list, participants] = await Promise.all([
        this.#rooms.list(),
        chosen ? this.#rooms.participants(chosen) : Promise.resolve(null),
      ]);
      if (asked !== this.#asked) return;
      this.list = list;
      this.participants = participants;
      this.problem = "";
      this.now = Date.now();
    } catch (error) {
      if (asked !== this.#asked) return;
      if (error instanceof GatewayError && error.status === 401)
        this.#lock(`The gateway refused the key: ${error.message}`);
      else if (isClosed(error))
        this.problem = "This gateway has no LiveKit API: its configuration has no [livekit.keys].";
      else this.problem = `The list of rooms is not up to date: ${error instanceof Error ? error.message : error}`;
    }
  }

  #lock(problem: string): void {
    this.locked = true;
    this.list = this.participants = null;
    this.problem = problem;
    void this.updateComplete.then(() => this.#dialog<KeyDialog>("key-dialog")?.open());
  }

  #sign(key: ApiKey | null): void {
    this.#asked++;
    this.#signed = key !== null;
    this.#rooms = new Rooms(this.#base, key ?? NO_KEY);
    this.list = this.participants = null;
    if (!key) return this.#lock("You signed out.");
    this.locked = false;
    this.problem = "";
    void this.#load();
  }

  #signOut(): void {
    storeKey(null, false);
    this.#sign(null);
  }

  #choose(room: string): void {
    this.chosen = room;
    this.participants = null;
    history.replaceState(null, "", room ? `?room=${encodeURIComponent(room)}` : location.pathname);
    void this.#load();
  }

  #dialog<T extends HTMLElement>(name: string): T | null {
    return this.renderRoot.querySelector<T>(name);
  }

  override render(): TemplateResult {
    const changed = ({ detail }: CustomEvent<string | undefined>) => (detail ? this.#choose(detail) : this.#load());
    return html`<div class="page">
      <header class="top">
        <a href="./" aria-label="Streams"><img src="favicon.svg" alt="" /></a>
        <h1>Rooms</h1>
        <span class="numbers">${this.#summary()}</span>
        <span class="space"></span>
        <a class="button" href="./">${icons.back} Streams</a>
        ${this.#signed ? html`<button @click=${() => this.#signOut()}>Sign out</button>` : nothing}
      </header>
      ${
        this.problem
          ? html`<div class="notice main-notice" role="alert">${this.problem}
            ${this.locked ? html`<button class="primary" @click=${() => this.#lock(this.problem)}>Enter a key</button>` : nothing}</div>`
          : nothing
      }
      ${this.locked ? nothing : this.#main()}
      <room-dialog .rooms=${this.#rooms} @changed=${changed}></room-dialog>
      <token-dialog .rooms=${this.#rooms} .room=${this.chosen}></token-dialog>
      <key-dialog .reason=${this.problem} @signed=${({ detail }: CustomEvent<ApiKey>) => this.#sign(detail)}></key-dialog>
    </div>`;
  }

  #summary(): string {
    if (!this.list) return "";
    const people = this.list.reduce((sum, { num_participants: count }) => sum + count, 0);
    return [
      this.list.length === 1 ? "1 room" : `${this.list.length} rooms`,
      people === 1 ? "1 participant" : `${people} participants`,
    ].join(" · ");
  }

  #main(): TemplateResult {
    const filter = (event: Event) => (this.filter = (event.target as HTMLInputElement).value);
    return html`<main>
      <nav class=${this.chosen ? "narrow-hidden" : ""} aria-label="Rooms">
        <div class="toolbar">
          <input type="search" placeholder="Filter" aria-label="Filter rooms" .value=${this.filter} @input=${filter} />
          <button @click=${() => this.#dialog<TokenDialog>("token-dialog")?.open()}>Token</button>
          <button @click=${() => this.#dialog<RoomDialog>("room-dialog")?.open()}>${icons.plus} New room</button>
        </div>
        ${this.#list()}
      </nav>
      <div class=${this.chosen ? "" : "narrow-hidden"}>${this.#panel()}</div>
    </main>`;
  }

  #list(): unknown {
    if (!this.list) return this.problem ? nothing : html`<div class="empty"><p>Loading…</p></div>`;
    if (this.list.length === 0) {
      return html`<div class="empty"><strong>No room is open</strong>
        <p>A room opens with the first stream of its name, or is made here or by a LiveKit SDK.</p></div>`;
    }
    const wanted = this.filter.trim().toLowerCase();
    const listed = this.list.filter(({ name }) => name.toLowerCase().includes(wanted));
    if (listed.length === 0) return html`<div class="empty"><p>No room is called like “${this.filter}”.</p></div>`;
    return html`<ul>${repeat(
      listed,
      ({ sid }) => sid,
      (room) => this.#entry(room),
    )}</ul>`;
  }

  #entry({ name, num_participants, num_publishers, metadata }: Room): TemplateResult {
    const publishers = num_publishers === 1 ? "1 publishes" : `${num_publishers} publish`;
    const people = num_participants === 1 ? "1 participant" : `${num_participants} participants`;
    return html`<li><button aria-current=${name === this.chosen ? "true" : nothing} @click=${() => this.#choose(name)}>
      <span class="name">${name}</span>
      <span class="count" title=${people}>${icons.people} ${num_participants}</span>
      <small>${num_publishers > 0 ? publishers : "nobody publishes"}${metadata ? ` · ${metadata}` : ""}</small>
    </button></li>`;
  }

  #panel(): unknown {
    const back = html`<button class="back" @click=${() => this.#choose("")}>${icons.back} All rooms</button>`;
    if (!this.list) return nothing;
    const room = this.list.find(({ name }) => name === this.chosen);
    if (!room) {
      const text = this.chosen ? `The room “${this.chosen}” is not open.` : "Choose a room to see who is in it.";
      return html`${back}<div class="empty"><p>${text}</p></div>`;
    }
    return html`${back}<room-panel .rooms=${this.#rooms} .room=${room} .participants=${this.participants} .now=${this.now}
      @changed=${() => this.#load()} @token=${() => this.#dialog<TokenDialog>("token-dialog")?.open()}></room-panel>`;
  }
}

const elements: [string, CustomElementConstructor][] = [
  ["copy-button", CopyButton],
  ["confirm-button", ConfirmButton],
  ["key-dialog", KeyDialog],
  ["room-dialog", RoomDialog],
  ["metadata-dialog", MetadataDialog],
  ["send-dialog", SendDialog],
  ["participant-dialog", ParticipantDialog],
  ["participant-card", ParticipantCard],
  ["token-dialog", TokenDialog],
  ["room-panel", RoomPanel],
  ["gateway-rooms", GatewayRooms],
];
for (const [name, element] of elements) customElements.define(name, element);
