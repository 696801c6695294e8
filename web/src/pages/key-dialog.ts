/** `<key-dialog>`: asks for an API key and its secret, and keeps them for this tab or this device; event `signed`. */

import { html, type TemplateResult } from "lit";
import type { ApiKey } from "../lib/access-token";
import { storeKey } from "../lib/api-key";
import { field, Modal } from "./modal";

export class KeyDialog extends Modal {
  static override properties = { ...Modal.properties, reason: {} };
  /** Why a key is asked for. */
  declare reason: string;

  constructor() {
    super();
    this.reason = "";
  }

  override render(): TemplateResult {
    const submit = (event: SubmitEvent) =>
      this.submit(event, async () => {
        const key: ApiKey = { key: field(event, "key"), secret: field(event, "secret") };
        storeKey(key, field(event, "keep") !== "");
        this.dispatchEvent(new CustomEvent("signed", { detail: key }));
      });
    return html`<dialog aria-label="API key">
      <form @submit=${submit}>
        <h2>API key</h2>
        <p>${this.reason} The secret stays in this browser: it signs the tokens of this page's requests.</p>
        <label>Key <input name="key" required autocomplete="username" spellcheck="false" autocapitalize="off" autofocus /></label>
        <label>Secret <input name="secret" type="password" required autocomplete="current-password" /></label>
        <label class="check"><input name="keep" type="checkbox" /> Remember on this device</label>
        ${this.alert()} ${this.buttons("Continue")}
      </form>
    </dialog>`;
  }
}
