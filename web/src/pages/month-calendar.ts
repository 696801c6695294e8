/** `<month-calendar>`: one month; the days with recordings can be chosen. Event `choose` with the day, or "" for all. */

import { css, html, LitElement, type TemplateResult } from "lit";
import * as icons from "../elements/icons";
import { controls, tokens } from "../elements/theme";
import { dateOf, type Day, dayOf, firstWeekday, monthOf, weeks } from "../lib/calendar";

export class MonthCalendar extends LitElement {
  static override properties = {
    days: { attribute: false },
    chosen: {},
    month: { state: true },
  };
  /** Recordings of each day. */
  declare days: ReadonlyMap<Day, number>;
  /** The chosen day; empty: all days. */
  declare chosen: Day | "";
  declare private month: Day;
  readonly #first = firstWeekday(navigator.language);

  static override styles = [
    tokens,
    controls,
    css`
    :host { display: block; max-width: 340px; }
    header { display: flex; align-items: center; gap: 4px; }
    h3 { flex: 1; margin: 0; font-size: 14px; font-weight: 600; }
    header button { border-color: transparent; background: none; }
    header button:first-of-type svg { transform: scaleX(-1); }
    table { width: 100%; border-collapse: collapse; table-layout: fixed; }
    th { padding: 4px 0; color: var(--muted); font-size: 11px; font-weight: 500; }
    td { padding: 1px; text-align: center; }
    td button { position: relative; width: 100%; min-height: 36px; padding: 0; border-color: transparent; border-radius: 6px; background: none;
      font-weight: 400; font-variant-numeric: tabular-nums; }
    td button:disabled { opacity: 1; color: var(--muted); cursor: default; }
    .other { visibility: hidden; }
    .has { background: var(--sunken); font-weight: 650; }
    .has::after { content: ""; position: absolute; left: calc(50% - 2px); bottom: 4px; width: 4px; height: 4px; border-radius: 50%; background: var(--live); }
    .today { border-color: var(--edge); }
    td button[aria-pressed="true"] { background: var(--ink); color: var(--surface); }
  `,
  ];

  constructor() {
    super();
    this.days = new Map();
    this.chosen = "";
    this.month = monthOf(dayOf(new Date()));
  }

  /** Shows the month of a day. */
  show(day: Day): void {
    this.month = monthOf(day);
  }

  override render(): TemplateResult {
    const language = navigator.language;
    const name = dateOf(this.month).toLocaleDateString(language, { month: "long", year: "numeric" });
    const rows = weeks(this.month, this.#first);
    const turn = (ahead: number, label: string) => html`
      <button class="square" title=${label} aria-label=${label} @click=${() => (this.month = monthOf(this.month, ahead))}>${icons.chevron}</button>
    `;
    const weekday = (day: Day, weekday: "short" | "long") => dateOf(day).toLocaleDateString(language, { weekday });
    return html`<header><h3 aria-live="polite">${name}</h3>${turn(-1, "Month before")}${turn(1, "Month after")}</header>
      <table aria-label=${name}>
        <thead><tr>${rows[0]?.map((day) => html`<th scope="col" abbr=${weekday(day, "long")}>${weekday(day, "short")}</th>`)}</tr></thead>
        <tbody>${rows.map((week) => html`<tr>${week.map((day) => html`<td>${this.#day(day)}</td>`)}</tr>`)}</tbody>
      </table>`;
  }

  #day(day: Day): TemplateResult {
    const count = this.days.get(day) ?? 0;
    const date = dateOf(day);
    const chosen = day === this.chosen;
    const classes = [
      monthOf(day) === this.month ? "" : "other",
      count > 0 ? "has" : "",
      day === dayOf(new Date()) ? "today" : "",
    ].join(" ");
    const words = date.toLocaleDateString(navigator.language, { day: "numeric", month: "long" });
    const choose = () => this.dispatchEvent(new CustomEvent("choose", { detail: chosen ? "" : day }));
    return html`<button class=${classes} ?disabled=${count === 0} aria-pressed=${chosen} data-day=${day}
      aria-label=${`${words}, ${count === 0 ? "no recording" : count === 1 ? "1 recording" : `${count} recordings`}`}
      @click=${choose}>${date.getDate()}</button>`;
  }
}
