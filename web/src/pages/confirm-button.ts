/** `<confirm-button>`: acts on the second click; event `confirm`. */

import { css, html, LitElement, type TemplateResult } from "lit";
import { controls, tokens } from "../elements/theme";

const ASKS_FOR_MS = 5_000;

export class ConfirmButton extends LitElement {
  static override properties = { question: {}, disabled: { type: Boolean }, asking: { state: true } };
  /** What the second click does, in words. */
  declare question: string;
  declare disabled: boolean;
  declare private asking: boolean;
  #timer = 0;

  static override styles = [tokens, controls, css`:host { display: inline-block; }`];

  constructor() {
    super();
    this.question = "";
    this.disabled = this.asking = false;
  }

  override render(): TemplateResult {
    return html`<button class=${this.asking ? "danger" : ""} ?disabled=${this.disabled} @click=${() => this.#click()} @blur=${() => this.#ask(false)}>
      ${this.asking ? this.question : html`<slot></slot>`}
    </button>`;
  }

  #click(): void {
    if (this.asking) this.dispatchEvent(new CustomEvent("confirm"));
    this.#ask(!this.asking);
  }

  #ask(asking: boolean): void {
    clearTimeout(this.#timer);
    this.asking = asking;
    if (asking) this.#timer = window.setTimeout(() => (this.asking = false), ASKS_FOR_MS);
  }
}
