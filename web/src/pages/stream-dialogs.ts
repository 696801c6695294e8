/** `<create-dialog>` and `<cascade-dialog>`: a new stream, and streams from and to other servers. */

import { html, type TemplateResult } from "lit";
import type { CascadeRequest, Gateway } from "../lib/gateway";
import { field, Modal } from "./modal";

/** What the gateway accepts as a name is its own affair; a slash can be no part of a path segment. */
const streamField = (value: string, fixed = false) => html`
  <label>Stream name
    <input name="stream" .defaultValue=${value} ?readonly=${fixed} required maxlength="128" pattern="[^\\/]+" spellcheck="false"
      autocapitalize="off" autocomplete="off" title="Any name without slashes" />
  </label>
`;

export class CreateDialog extends Modal {
  static override properties = { ...Modal.properties, gateway: { attribute: false } };
  declare gateway: Gateway;

  override render(): TemplateResult {
    const submit = (event: SubmitEvent) => this.submit(event, () => this.gateway.create(field(event, "stream")));
    return html`<dialog aria-label="New stream">
      <form @submit=${submit}>
        <h2>New stream</h2>
        <p>Publishing makes a stream by itself. One that is made here and that nobody uses goes after some seconds, as the
          gateway's strategy says; streams in the configuration file stay.</p>
        ${streamField("")} ${this.alert()} ${this.buttons("Create")}
      </form>
    </dialog>`;
  }
}

export class CascadeDialog extends Modal {
  static override properties = {
    ...Modal.properties,
    gateway: { attribute: false },
    stream: {},
    direction: { state: true },
  };
  declare gateway: Gateway;
  /** The stream to cascade; empty: the dialog asks for its name. */
  declare stream: string;
  declare private direction: CascadeRequest["direction"];

  constructor() {
    super();
    this.stream = "";
    this.direction = "pull";
  }

  /** @param direction what the dialog proposes */
  async ask(stream: string, direction: CascadeRequest["direction"]): Promise<void> {
    this.stream = stream;
    this.direction = direction;
    await this.open();
  }

  override render(): TemplateResult {
    const pull = this.direction === "pull";
    const submit = (event: SubmitEvent) =>
      this.submit(event, () =>
        this.gateway.cascade(field(event, "stream"), {
          direction: this.direction,
          url: field(event, "url"),
          authorization: authorization(field(event, "token")),
        }),
      );
    const tab = (direction: CascadeRequest["direction"], text: string) => html`
      <button type="button" aria-pressed=${this.direction === direction} @click=${() => (this.direction = direction)}>${text}</button>
    `;
    return html`<dialog aria-label="Cascade">
      <form @submit=${submit}>
        <h2>${this.stream ? `Cascade “${this.stream}”` : "Cascade"}</h2>
        <div class="tabs" role="group" aria-label="Direction">${tab("pull", "Pull from")}${tab("push", "Push to")}</div>
        <p>${
          pull
            ? "This gateway plays a stream of another server and publishes it here."
            : "This gateway publishes the stream to another server. End it by a kick in the list of clients."
        }</p>
        ${streamField(this.stream, this.stream !== "")}
        <label>${pull ? "WHEP URL to pull from" : "WHIP URL to push to"}
          <input name="url" type="url" required pattern="https?://.+" spellcheck="false" autocomplete="off"
            placeholder=${`https://other.example/${pull ? "whep" : "whip"}/demo`} />
        </label>
        <label>Token of the other server, if it asks for one
          <input name="token" type="password" autocomplete="off" />
        </label>
        ${this.alert()} ${this.buttons(pull ? "Pull" : "Push")}
      </form>
    </dialog>`;
  }
}

/** The gateway sends it on as it is; what has no scheme is a bearer token. */
export const authorization = (token: string) => (token === "" || /\s/.test(token) ? token : `Bearer ${token}`);
