/** `<clients-dialog>`: every session of a stream, and how to end it. */

import { css, html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { bitrate, bytes, duration } from "../lib/format";
import { type Gateway, isOpen, type SessionInfo, type StreamInfo } from "../lib/gateway";
import { Modal } from "./modal";
import { table } from "./table";

export class ClientsDialog extends Modal {
  static override properties = {
    ...Modal.properties,
    gateway: { attribute: false },
    info: { attribute: false },
    now: { attribute: false },
  };
  declare gateway: Gateway;
  /** The stream, or undefined when it is gone. */
  declare info: StreamInfo | undefined;
  /** The gateway's clock, ms since the epoch. */
  declare now: number;

  static override styles = [
    ...Modal.styles,
    table,
    css`
    dialog { width: min(820px, calc(100vw - 32px)); }
    form { gap: 12px; }
    .closed { color: var(--muted); }
    small { display: block; color: var(--muted); font-size: 12px; font-weight: 400; overflow-wrap: anywhere; }
    @media (max-width: 720px) { .actions { grid-column: span 2; align-self: end; text-align: right; } }
  `,
  ];

  override render(): TemplateResult {
    const { publish, subscribe, id = "" } = this.info ?? {};
    const sessions = [
      ...(publish?.sessions ?? []).map((session) => ({ session, publisher: true })),
      ...(subscribe?.sessions ?? []).map((session) => ({ session, publisher: false })),
    ];
    return html`<dialog aria-label="Clients">
      <form method="dialog">
        <h2>Clients of “${id}”</h2>
        ${this.alert()}
        ${
          sessions.length === 0
            ? html`<p>Nobody publishes or watches this stream.</p>`
            : html`<table>
                <thead><tr><th>Client</th><th>State</th><th>Time</th><th>Bitrate</th><th>Total</th><td></td></tr></thead>
                <tbody>${repeat(
                  sessions,
                  ({ session }) => session.id,
                  ({ session, publisher }) => this.#row(session, publisher),
                )}</tbody>
              </table>`
        }
        <div class="buttons"><button>Close</button></div>
      </form>
    </dialog>`;
  }

  #row(session: SessionInfo, publisher: boolean): TemplateResult {
    const { id, state, createdAt, leaveAt, stats, cascade, hasDataChannel } = session;
    const open = isOpen(session);
    const role = cascade ? (publisher ? "Pull" : "Push") : publisher ? "Publisher" : "Viewer";
    const kick = () => void this.attempt(() => this.gateway.kick(this.info?.id ?? "", id));
    const button = publisher
      ? html`<confirm-button question="End the stream" @confirm=${kick}>Kick</confirm-button>`
      : html`<button type="button" aria-label=${`Kick ${role.toLowerCase()} ${id}`} @click=${kick}>Kick</button>`;
    return html`<tr class=${open ? "" : "closed"} aria-label=${`${role} ${id}`}>
      <th scope="row">${role} ${hasDataChannel ? html`<span class="tag">data channel</span>` : nothing}
        <small>${id}</small>
        ${cascade?.sourceUrl ? html`<small>from ${cascade.sourceUrl}</small>` : nothing}
        ${cascade?.targetUrl ? html`<small>to ${cascade.targetUrl}</small>` : nothing}
      </th>
      <td data-name="State">${state}</td>
      <td data-name="Time" class="number">${duration((leaveAt || this.now) - createdAt)}</td>
      <td data-name="Bitrate" class="number">${bitrate(stats.bitrate)}</td>
      <td data-name="Total" class="number">${bytes(stats.bytes)}</td>
      <td class="actions">${open ? button : nothing}</td>
    </tr>`;
  }
}
