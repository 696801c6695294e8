/** `<participant-card>`: one participant with its tracks. Events `edit`, `remove`, `mute` ({track, muted}). */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import * as icons from "../elements/icons";
import { controls, tokens } from "../elements/theme";
import { codecName, duration } from "../lib/format";
import type { Participant, Track } from "../lib/rooms";

const SOURCES: Record<Track["source"], string> = {
  UNKNOWN: "",
  CAMERA: "Camera",
  MICROPHONE: "Microphone",
  SCREEN_SHARE: "Screen",
  SCREEN_SHARE_AUDIO: "Screen sound",
};
const TYPES: Record<Track["type"], string> = { AUDIO: "Audio", VIDEO: "Video", DATA: "Data" };

export class ParticipantCard extends LitElement {
  static override properties = { participant: { attribute: false }, now: { attribute: false } };
  declare participant: Participant;
  /** ms since the epoch. */
  declare now: number;

  static override styles = [
    tokens,
    controls,
    css`
    :host { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 8px 12px; padding: 14px 16px; }
    .who { display: flex; flex-wrap: wrap; align-items: center; gap: 2px 8px; min-width: 0; }
    strong { font-weight: 600; overflow-wrap: anywhere; }
    .name { color: var(--muted); overflow-wrap: anywhere; }
    .who small { flex-basis: 100%; color: var(--muted); font-size: 12px; overflow-wrap: anywhere; }
    .actions { display: flex; gap: 6px; align-items: start; }
    ul { grid-column: 1 / -1; display: grid; gap: 6px; margin: 0; padding: 0; list-style: none; }
    li { display: flex; align-items: center; gap: 4px 10px; padding: 4px 4px 4px 10px; border-radius: var(--radius); background: var(--sunken); }
    li > svg { color: var(--muted); }
    li span:first-of-type { flex: 1; min-width: 0; overflow-wrap: anywhere; font-size: 13px; }
    li .tag { border-color: var(--live); color: var(--live); }
    li button { min-height: 30px; }
    @media (max-width: 520px) {
      :host { grid-template-columns: minmax(0, 1fr); padding: 14px; }
      .actions > * { flex: 1; }
      .actions { display: grid; grid-template-columns: 1fr 1fr; }
      confirm-button { display: grid; }
    }
  `,
  ];

  override render(): TemplateResult {
    const { identity, name, tracks, joined_at, metadata } = this.participant;
    const tell = (type: string) => () => this.dispatchEvent(new CustomEvent(type));
    const since = duration(this.now - Number(joined_at) * 1000);
    return html`
      <div class="who">
        <strong>${identity}</strong>
        ${name && name !== identity ? html`<span class="name">${name}</span>` : nothing}
        ${this.#tags().map((tag) => html`<span class="tag">${tag}</span>`)}
        <small>here for ${since}${metadata ? html` · ${metadata}` : nothing}${this.#attributes()}</small>
      </div>
      <div class="actions">
        <button aria-label=${`Edit ${identity}`} @click=${tell("edit")}>Edit</button>
        <confirm-button question="Remove now" @confirm=${tell("remove")}>Remove</confirm-button>
      </div>
      ${tracks.length > 0 ? html`<ul aria-label=${`Tracks of ${identity}`}>${tracks.map((track) => this.#track(track))}</ul>` : nothing}
    `;
  }

  #attributes(): string {
    const pairs = Object.entries(this.participant.attributes).map(([key, value]) => `${key}=${value}`);
    return pairs.length > 0 ? ` · ${pairs.join(", ")}` : "";
  }

  #tags(): string[] {
    const { kind, state, permission } = this.participant;
    const tags: [boolean, string][] = [
      [kind !== "STANDARD", kind.toLowerCase()],
      [state !== "ACTIVE", "connecting"],
      [permission?.hidden ?? false, "hidden"],
      [permission !== null && !permission.can_publish, "may not publish"],
      [permission !== null && !permission.can_subscribe, "may not watch"],
    ];
    return tags.filter(([shown]) => shown).map(([, tag]) => tag);
  }

  #track(track: Track): TemplateResult {
    const { sid, type, source, name, mime_type, width, height, simulcast, muted } = track;
    const what = [
      name || SOURCES[source] || TYPES[type],
      ...(mime_type ? [codecName(mime_type.replace(/^.*\//, ""))] : []),
      ...(width ? [`${width} × ${height}`] : []),
      ...(simulcast ? ["simulcast"] : []),
    ].join(" · ");
    const toggle = () => this.dispatchEvent(new CustomEvent("mute", { detail: { track: sid, muted: !muted } }));
    return html`<li title=${sid}>
      ${type === "VIDEO" ? icons.film : type === "AUDIO" ? icons.sound : icons.cascade}
      <span>${what}</span>
      ${muted ? html`<span class="tag">muted</span>` : nothing}
      <button aria-label=${`${muted ? "Unmute" : "Mute"} ${what}`} @click=${toggle}>${muted ? "Unmute" : "Mute"}</button>
    </li>`;
  }
}
