/** `<participant-dialog>`: the name, metadata, attributes and permission of one participant; event `changed`. */

import { html, type TemplateResult } from "lit";
import { changes, readAttributes } from "../lib/attributes";
import type { Participant, Permission, Rooms } from "../lib/rooms";
import { field, Modal } from "./modal";
import { NAME_LENGTH } from "./room-dialogs";

const CHOICES = [
  ["can_publish", "May publish"],
  ["can_subscribe", "May watch"],
  ["can_publish_data", "May send data"],
] as const;
const DENIED: Permission = {
  can_publish: false,
  can_subscribe: false,
  can_publish_data: false,
  can_update_metadata: false,
  hidden: false,
};

export class ParticipantDialog extends Modal {
  static override properties = {
    ...Modal.properties,
    rooms: { attribute: false },
    room: {},
    participant: { attribute: false },
  };
  declare rooms: Rooms;
  declare room: string;
  /** As it was when the dialog was opened. */
  declare participant: Participant | undefined;

  constructor() {
    super();
    this.room = "";
  }

  override render(): TemplateResult {
    const { identity = "", name = "", metadata = "", attributes = {}, permission } = this.participant ?? {};
    const submit = (event: SubmitEvent) =>
      this.submit(event, async () => {
        const chosen = Object.fromEntries(CHOICES.map(([key]) => [key, field(event, key) !== ""]));
        await this.rooms.updateParticipant(this.room, identity, {
          name: field(event, "name"),
          metadata: field(event, "metadata"),
          attributes: changes(attributes, readAttributes(field(event, "attributes"))),
          permission: { ...DENIED, ...permission, ...chosen },
        });
        this.dispatchEvent(new CustomEvent("changed"));
      });
    const written = Object.entries(attributes).map(([key, value]) => `${key}=${value}`);
    return html`<dialog aria-label="Participant">
      <form @submit=${submit}>
        <h2>${identity}</h2>
        <label>Name <input name="name" .defaultValue=${name} maxlength=${NAME_LENGTH} autocomplete="off" /></label>
        <label>Metadata, any text <textarea name="metadata" .defaultValue=${metadata} spellcheck="false" rows="3"></textarea></label>
        <label>Attributes, one key=value a line
          <textarea name="attributes" .defaultValue=${written.join("\n")} spellcheck="false" rows="3"></textarea>
        </label>
        <div class="checks">${CHOICES.map(
          ([key, label]) => html`<label class="check">
            <input name=${key} type="checkbox" .defaultChecked=${permission?.[key] ?? false} /> ${label}</label>`,
        )}</div>
        <p>Who may no longer publish loses its tracks at once.</p>
        ${this.alert()} ${this.buttons("Save")}
      </form>
    </dialog>`;
  }
}
