/** `<copy-button>`: copies its `text` and says so. */

import { css, html, LitElement, type TemplateResult } from "lit";
import * as icons from "../elements/icons";
import { controls, tokens } from "../elements/theme";

export class CopyButton extends LitElement {
  static override properties = { text: {}, label: {}, hint: {}, done: { state: true } };
  declare text: string;
  declare label: string;
  /** The accessible name, when the label is short. */
  declare hint: string;
  declare private done: boolean;

  static override styles = [
    tokens,
    controls,
    css`
    :host { display: inline-block; }
    button { min-width: 92px; }
    .done { border-color: var(--good); color: var(--good); }
    @media (max-width: 640px) { button { min-width: 84px; padding: 0 8px; } }
  `,
  ];

  constructor() {
    super();
    this.text = this.hint = "";
    this.label = "Copy";
    this.done = false;
  }

  override render(): TemplateResult {
    const hint = this.hint || this.label;
    return html`<button class=${this.done ? "done" : ""} title=${hint} aria-label=${this.done ? "Copied" : hint} @click=${() => this.#copy()}>
      ${icons.copy} ${this.done ? "Copied" : this.label}
    </button>`;
  }

  async #copy(): Promise<void> {
    await copy(this.text);
    this.done = true;
    setTimeout(() => (this.done = false), 1500);
  }
}

/** The Clipboard API exists in secure contexts only; a gateway on a LAN is often plain http. */
async function copy(text: string): Promise<void> {
  if (navigator.clipboard !== undefined) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
