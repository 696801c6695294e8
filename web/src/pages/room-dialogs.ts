/** `<room-dialog>`, `<metadata-dialog>` and `<send-dialog>`: make a room, change what it says, tell it something. */

import { html, type TemplateResult } from "lit";
import type { Participant, Room, Rooms } from "../lib/rooms";
import { field, Modal } from "./modal";

/** As LiveKit limits the names of rooms and participants. */
export const NAME_LENGTH = 256;

abstract class RoomModal extends Modal {
  static override properties = { ...Modal.properties, rooms: { attribute: false } };
  declare rooms: Rooms;

  /** Something in the room is not as it was. */
  protected changed(detail?: string): void {
    this.dispatchEvent(new CustomEvent("changed", { detail }));
  }
}

export class RoomDialog extends RoomModal {
  override render(): TemplateResult {
    const submit = (event: SubmitEvent) =>
      this.submit(event, async () => {
        const name = field(event, "name");
        const whole = (which: string) => Number(field(event, which) || 0);
        await this.rooms.create({
          name,
          empty_timeout: whole("empty"),
          departure_timeout: whole("departure"),
          max_participants: whole("most"),
          metadata: field(event, "metadata"),
        });
        this.changed(name);
      });
    const number = (name: string, label: string, placeholder: string) => html`
      <label>${label} <input name=${name} type="number" min="0" max="4294967295" step="1" placeholder=${placeholder} /></label>
    `;
    return html`<dialog aria-label="New room">
      <form @submit=${submit}>
        <h2>New room</h2>
        <p>Whoever publishes or plays makes a room by itself. One that is made here has the values given here, and waits for
          the first participant.</p>
        <label>Name
          <input name="name" required maxlength=${NAME_LENGTH} spellcheck="false" autocapitalize="off" autocomplete="off" autofocus />
        </label>
        <div class="pair">
          ${number("empty", "Ends if nobody comes, s", "default")} ${number("departure", "Ends after the last, s", "default")}
          ${number("most", "Participants at most", "any")}
        </div>
        <label>Metadata <textarea name="metadata" spellcheck="false" rows="3"></textarea></label>
        ${this.alert()} ${this.buttons("Create")}
      </form>
    </dialog>`;
  }
}

export class MetadataDialog extends RoomModal {
  static override properties = { ...RoomModal.properties, room: { attribute: false } };
  declare room: Room | undefined;

  override render(): TemplateResult {
    const { name = "", metadata = "" } = this.room ?? {};
    const submit = (event: SubmitEvent) =>
      this.submit(event, async () => {
        await this.rooms.updateMetadata(name, field(event, "metadata"));
        this.changed();
      });
    return html`<dialog aria-label="Metadata of the room">
      <form @submit=${submit}>
        <h2>Metadata of “${name}”</h2>
        <label>Metadata, any text <textarea name="metadata" .defaultValue=${metadata} spellcheck="false" rows="5" autofocus></textarea></label>
        ${this.alert()} ${this.buttons("Save")}
      </form>
    </dialog>`;
  }
}

export class SendDialog extends RoomModal {
  static override properties = {
    ...RoomModal.properties,
    room: {},
    participants: { attribute: false },
  };
  declare room: string;
  declare participants: readonly Participant[];

  constructor() {
    super();
    this.room = "";
    this.participants = [];
  }

  override render(): TemplateResult {
    const submit = (event: SubmitEvent) =>
      this.submit(event, async () => {
        const to = field(event, "to");
        await this.rooms.send(this.room, {
          text: field(event, "text"),
          topic: field(event, "topic"),
          lossy: field(event, "lossy") !== "",
          identities: to ? [to] : [],
        });
      });
    return html`<dialog aria-label="Send data">
      <form @submit=${submit}>
        <h2>Send data to “${this.room}”</h2>
        <p>It arrives on the data channels of those who opened one.</p>
        <label>To
          <select name="to">
            <option value="">Everybody</option>
            ${this.participants.map(({ identity }) => html`<option value=${identity}>${identity}</option>`)}
          </select>
        </label>
        <label>Text <textarea name="text" required rows="3" autofocus></textarea></label>
        <label>Topic, if any <input name="topic" spellcheck="false" autocapitalize="off" autocomplete="off" /></label>
        <label class="check"><input name="lossy" type="checkbox" /> May be lost on the way</label>
        ${this.alert()} ${this.buttons("Send")}
      </form>
    </dialog>`;
  }
}
