/** `<token-dialog>`: makes an access token for somebody else. */

import { css, html, nothing, type TemplateResult } from "lit";
import { claimsFor } from "../lib/access-token";
import type { Rooms } from "../lib/rooms";
import { field, Modal } from "./modal";
import { NAME_LENGTH } from "./room-dialogs";

const PURPOSES = [
  ["publish", "Publish and watch"],
  ["watch", "Watch only"],
  ["admin", "Manage the room"],
] as const;
const TIMES = [
  [600, "10 minutes"],
  [6 * 3600, "6 hours"],
  [24 * 3600, "1 day"],
  [30 * 24 * 3600, "30 days"],
] as const;
const USUAL_SECONDS = 6 * 3600;

export class TokenDialog extends Modal {
  static override properties = {
    ...Modal.properties,
    rooms: { attribute: false },
    room: {},
    token: { state: true },
  };
  static override styles = [
    ...Modal.styles,
    css`
    .made { display: grid; gap: 8px; padding: 12px; border-radius: var(--radius); background: var(--sunken); }
    pre { margin: 0; max-height: 132px; overflow: auto; font: 12px/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
    .made div { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 8px; }
    .made small { flex: 1 1 200px; color: var(--muted); font-size: 12px; overflow-wrap: anywhere; }
  `,
  ];
  declare rooms: Rooms;
  /** What the dialog proposes. */
  declare room: string;
  declare private token: string;

  constructor() {
    super();
    this.room = this.token = "";
  }

  override async open(): Promise<void> {
    this.token = "";
    await super.open();
  }

  override render(): TemplateResult {
    const make = (event: SubmitEvent) => {
      event.preventDefault();
      const claims = claimsFor(field(event, "purpose"), field(event, "room"), field(event, "identity"));
      this.token = this.rooms.token(claims, Number(field(event, "seconds")));
    };
    return html`<dialog aria-label="Access token">
      <form @submit=${make} @input=${() => (this.token = "")}>
        <h2>Access token</h2>
        <p>For a LiveKit SDK, OBS or a browser. It is signed here and stored nowhere; whoever has it is let in until it expires.</p>
        <label>Room
          <input name="room" .defaultValue=${this.room} required maxlength=${NAME_LENGTH} spellcheck="false" autocapitalize="off" autocomplete="off" />
        </label>
        <label>Identity
          <input name="identity" required maxlength=${NAME_LENGTH} spellcheck="false" autocapitalize="off" autocomplete="off" autofocus />
        </label>
        <div class="pair">
          <label>May <select name="purpose">${PURPOSES.map(([value, label]) => html`<option value=${value}>${label}</option>`)}</select></label>
          <label>Valid for <select name="seconds">${TIMES.map(
            ([seconds, label]) =>
              html`<option value=${seconds} ?selected=${seconds === USUAL_SECONDS}>${label}</option>`,
          )}</select></label>
        </div>
        ${this.token ? this.#made() : nothing}
        <div class="buttons">
          <button type="button" @click=${() => this.dialog?.close()}>Close</button>
          <button class="primary">Make token</button>
        </div>
      </form>
    </dialog>`;
  }

  #made(): TemplateResult {
    const whip = new URL("whip/v1", this.rooms.base).href;
    return html`<div class="made" role="status" aria-label="The token">
      <pre tabindex="0">${this.token}</pre>
      <div><small>Publish by WHIP to ${whip} with it as the bearer token.</small>
        <copy-button .text=${this.token} label="Copy" hint="Copy the token"></copy-button></div>
    </div>`;
  }
}
