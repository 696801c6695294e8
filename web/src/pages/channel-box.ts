/** `<channel-box>`: what goes and comes by the data channel of an element; event `sent`. */

import { css, html, LitElement, type TemplateResult } from "lit";
import type { WhepPlayer } from "../elements/whep-player";
import type { WhipPublisher } from "../elements/whip-publisher";
import { controls, tokens } from "../elements/theme";

const KEPT = 50;

export class ChannelBox extends LitElement {
  static override properties = { peer: { attribute: false }, lines: { state: true }, problem: { state: true } };
  declare peer: WhepPlayer | WhipPublisher;
  declare private lines: readonly string[];
  declare private problem: string;

  static override styles = [
    tokens,
    controls,
    css`
    :host { display: grid; gap: 6px; min-width: 0; }
    form { display: flex; gap: 8px; }
    pre { min-height: 62px; max-height: 140px; margin: 0; padding: 8px 10px; overflow: auto; border-radius: var(--radius); background: var(--sunken);
      font: 12px/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
    p { margin: 0; color: var(--live); font-size: 13px; }
  `,
  ];

  constructor() {
    super();
    this.lines = [];
    this.problem = "";
  }

  /** Shows what came in. */
  receive(data: string | ArrayBuffer): void {
    this.#add(`← ${typeof data === "string" ? data : `${data.byteLength} bytes: ${hex(data)}`}`);
  }

  #add(line: string): void {
    this.lines = [...this.lines, line].slice(-KEPT);
  }

  override updated(): void {
    const list = this.renderRoot.querySelector("pre");
    list?.scrollTo(0, list.scrollHeight);
  }

  override render(): TemplateResult {
    const submit = (event: SubmitEvent) => {
      event.preventDefault();
      const form = event.target as HTMLFormElement;
      const text = String(new FormData(form).get("text") ?? "");
      const sent = this.peer.send(text);
      this.problem = sent ? "" : "The data channel is not open.";
      if (!sent) return;
      this.#add(`→ ${text}`);
      form.reset();
      this.dispatchEvent(new CustomEvent("sent", { detail: text }));
    };
    return html`
      <pre role="log" aria-label="Data channel messages" tabindex="0">${this.lines.join("\n")}</pre>
      <form @submit=${submit}>
        <input name="text" aria-label="Message" placeholder="Message" required autocomplete="off" />
        <button>Send</button>
      </form>
      ${this.problem ? html`<p role="alert">${this.problem}</p>` : ""}
    `;
  }
}

function hex(data: ArrayBuffer): string {
  const shown = Array.from(new Uint8Array(data, 0, Math.min(32, data.byteLength)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  );
  return shown.join(" ") + (data.byteLength > shown.length ? " …" : "");
}
