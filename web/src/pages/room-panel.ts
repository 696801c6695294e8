/** `<room-panel>`: one room, who is in it, and what can be done about it. Events `changed`, `token`. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { controls, tokens } from "../elements/theme";
import { duration } from "../lib/format";
import type { Participant, Room, Rooms } from "../lib/rooms";
import type { ParticipantDialog } from "./participant-dialog";
import type { MetadataDialog, SendDialog } from "./room-dialogs";

/** Cards that are drawn until more are asked for. */
const CARDS = 100;

export class RoomPanel extends LitElement {
  static override properties = {
    rooms: { attribute: false },
    room: { attribute: false },
    participants: { attribute: false },
    now: { attribute: false },
    problem: { state: true },
    shown: { state: true },
    edited: { state: true },
  };
  declare rooms: Rooms;
  declare room: Room;
  /** null: not read yet. */
  declare participants: readonly Participant[] | null;
  /** ms since the epoch. */
  declare now: number;
  declare private problem: string;
  declare private shown: number;
  declare private edited: Participant | undefined;

  static override styles = [
    tokens,
    controls,
    css`
    :host { display: grid; gap: 12px; min-width: 0; }
    section { border: 1px solid var(--line); border-radius: 12px; background: var(--surface); }
    .about { display: grid; gap: 12px; padding: 16px; }
    h2 { margin: 0; font-size: 17px; font-weight: 600; overflow-wrap: anywhere; }
    h3 { margin: 0; padding: 12px 16px; border-bottom: 1px solid var(--line); font-size: 14px; font-weight: 600; }
    p { margin: 0; }
    pre { margin: 0; max-height: 120px; padding: 8px 10px; overflow: auto; border-radius: var(--radius); background: var(--sunken);
      font: 12px/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
    .row { display: flex; flex-wrap: wrap; gap: 8px; }
    participant-card + participant-card { border-top: 1px solid var(--line); }
    .nobody { padding: 28px 16px; color: var(--muted); text-align: center; }
    .more { padding: 12px; border-top: 1px solid var(--line); text-align: center; }
  `,
  ];

  constructor() {
    super();
    this.problem = "";
    this.shown = CARDS;
    this.edited = undefined;
  }

  override render(): TemplateResult {
    const { name, metadata } = this.room;
    const open = (dialog: string) => () => void this.#dialog<SendDialog | MetadataDialog>(dialog)?.open();
    const remove = () => this.#act(() => this.rooms.remove(name));
    const changed = () => this.#changed();
    return html`
      <section class="about" aria-label="Room">
        <h2>${name}</h2>
        <p class="numbers">${this.#facts()}</p>
        ${metadata ? html`<pre tabindex="0" aria-label="Metadata">${metadata}</pre>` : nothing}
        <div class="row">
          <button class="primary" @click=${open("send-dialog")}>Send data</button>
          <button @click=${() => this.dispatchEvent(new CustomEvent("token"))}>Make token</button>
          <button @click=${open("metadata-dialog")}>Metadata</button>
          <confirm-button question="End it for everybody" @confirm=${remove}>Delete room</confirm-button>
        </div>
        ${this.problem ? html`<div class="notice" role="alert">${this.problem}</div>` : nothing}
      </section>
      <section aria-label="Participants">
        <h3>Participants</h3>
        ${this.#people()}
      </section>
      <send-dialog .rooms=${this.rooms} .room=${name} .participants=${this.participants ?? []}></send-dialog>
      <metadata-dialog .rooms=${this.rooms} .room=${this.room} @changed=${changed}></metadata-dialog>
      <participant-dialog .rooms=${this.rooms} .room=${name} .participant=${this.edited} @changed=${changed}></participant-dialog>
    `;
  }

  #facts(): string {
    const { sid, creation_time, empty_timeout, departure_timeout, max_participants } = this.room;
    return [
      sid,
      `open for ${duration(this.now - Number(creation_time) * 1000)}`,
      `ends ${departure_timeout} s after the last has left, or if nobody comes for ${empty_timeout} s`,
      ...(max_participants > 0 ? [`at most ${max_participants} participants`] : []),
    ].join(" · ");
  }

  #people(): unknown {
    if (!this.participants) return html`<p class="nobody">Loading…</p>`;
    if (this.participants.length === 0) return html`<p class="nobody">Nobody is here.</p>`;
    const more = this.participants.length - this.shown;
    return html`${repeat(
      this.participants.slice(0, this.shown),
      ({ sid }) => sid,
      (participant) => this.#card(participant),
    )}
    ${more > 0 ? html`<div class="more"><button @click=${() => (this.shown += 5 * CARDS)}>Show ${more} more</button></div>` : nothing}`;
  }

  #card(participant: Participant): TemplateResult {
    const { identity } = participant;
    const room = this.room.name;
    const edit = async () => {
      this.edited = participant;
      await this.updateComplete;
      await this.#dialog<ParticipantDialog>("participant-dialog")?.open();
    };
    const mute = ({ detail }: CustomEvent<{ track: string; muted: boolean }>) =>
      this.#act(() => this.rooms.mute(room, identity, detail.track, detail.muted));
    return html`<participant-card role="group" aria-label=${identity} .participant=${participant} .now=${this.now} @edit=${edit} @mute=${mute}
      @remove=${() => this.#act(() => this.rooms.removeParticipant(room, identity))}></participant-card>`;
  }

  async #act(action: () => Promise<void>): Promise<void> {
    try {
      await action();
      this.problem = "";
      this.#changed();
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
    }
  }

  #changed(): void {
    this.dispatchEvent(new CustomEvent("changed"));
  }

  #dialog<T extends HTMLElement>(name: string): T | null {
    return this.renderRoot.querySelector<T>(name);
  }
}
