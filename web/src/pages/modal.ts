/** What the dialogs of the pages share. */

import { html, LitElement, nothing, type TemplateResult } from "lit";
import { controls, dialogs, tokens } from "../elements/theme";

export abstract class Modal extends LitElement {
  static override properties = { problem: { state: true }, busy: { state: true } };
  static override styles = [tokens, controls, dialogs];
  /** Why the last try failed, in words. */
  declare protected problem: string;
  declare protected busy: boolean;

  constructor() {
    super();
    this.problem = "";
    this.busy = false;
  }

  get dialog(): HTMLDialogElement | null {
    return this.renderRoot.querySelector("dialog");
  }

  /** Shows the dialog; its form starts anew. */
  async open(): Promise<void> {
    if (this.dialog?.open) return;
    this.problem = "";
    await this.updateComplete;
    this.dialog?.querySelector("form")?.reset();
    this.dialog?.showModal();
  }

  /** Does what the form asks for; the dialog closes when it worked. */
  protected async submit(event: SubmitEvent, action: () => Promise<void>): Promise<void> {
    event.preventDefault();
    if (await this.attempt(action)) this.dialog?.close();
  }

  /** Does something, one thing at a time; the dialog says why when it did not work. */
  protected async attempt(action: () => Promise<void>): Promise<boolean> {
    if (this.busy) return false;
    this.busy = true;
    this.problem = "";
    try {
      await action();
      return true;
    } catch (error) {
      this.problem = error instanceof Error ? error.message : String(error);
      return false;
    } finally {
      this.busy = false;
    }
  }

  protected alert(): unknown {
    return this.problem ? html`<div class="notice" role="alert">${this.problem}</div>` : nothing;
  }

  protected buttons(action: string): TemplateResult {
    return html`<div class="buttons">
      <button type="button" @click=${() => this.dialog?.close()}>Cancel</button>
      <button class="primary" ?disabled=${this.busy}>${this.busy ? "Please wait…" : action}</button>
    </div>`;
  }
}

/** The text of a field of a form that was sent. */
export function field(event: Event, name: string): string {
  return String(new FormData(event.currentTarget as HTMLFormElement).get(name) ?? "").trim();
}
