/** `<sign-in>`: asks for a token, and keeps it for this tab or this device; event `signed`. */

import { html, type TemplateResult } from "lit";
import { bareToken, storeToken } from "../lib/token";
import { field, Modal } from "./modal";

export class SignIn extends Modal {
  static override properties = { ...Modal.properties, reason: {} };
  /** Why a token is asked for. */
  declare reason: string;

  constructor() {
    super();
    this.reason = "";
  }

  override render(): TemplateResult {
    const submit = (event: SubmitEvent) =>
      this.submit(event, async () => {
        const token = bareToken(field(event, "token"));
        storeToken(token, field(event, "keep") !== "");
        this.dispatchEvent(new CustomEvent("signed", { detail: token }));
      });
    return html`<dialog aria-label="Sign in">
      <form @submit=${submit}>
        <h2>Sign in</h2>
        <p>${this.reason}</p>
        <label>Token <input name="token" type="password" required autocomplete="current-password" autofocus /></label>
        <label class="check"><input name="keep" type="checkbox" /> Remember on this device</label>
        ${this.buttons("Sign in")}
      </form>
    </dialog>`;
  }
}
