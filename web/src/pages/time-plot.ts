/** `<time-plot>`: lines over the last minutes, drawn by uPlot, which is loaded with the first plot. */

import { css, html, LitElement, type PropertyValues, type TemplateResult, unsafeCSS } from "lit";
import type uPlot from "uplot";
import plotStyles from "uplot/dist/uPlot.min.css?inline";
import { tokens } from "../elements/theme";

export interface Line {
  name: string;
  values: readonly (number | null)[];
}

/** Colour properties of the lines, in order. */
const COLOURS = ["--plot-first", "--plot-second"];
const HEIGHT = 76;

export class TimePlot extends LitElement {
  static override properties = {
    name: {},
    at: { attribute: false },
    lines: { attribute: false },
    format: { attribute: false },
    least: { type: Number },
  };
  declare name: string;
  /** Seconds since the epoch, one for each value. */
  declare at: readonly number[];
  declare lines: readonly Line[];
  declare format: (value: number) => string;
  /** The scale begins at 0 and ends here at the least. */
  declare least: number;
  #plot: uPlot | null = null;
  readonly #scheme = matchMedia("(prefers-color-scheme: dark)");
  readonly #redraw = () => this.#plot?.redraw();
  readonly #resize = new ResizeObserver(() => this.#plot?.setSize({ width: this.#width, height: HEIGHT }));

  static override styles = [
    unsafeCSS(plotStyles),
    tokens,
    css`
    :host { display: block; min-width: 0; --plot-first: light-dark(#1f5fd6, #7fb0ff); --plot-second: light-dark(#b4540a, #f0a35e); }
    header { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 12px; }
    h4 { margin: 0; flex: 1; font-size: 12px; font-weight: 600; }
    span { color: var(--muted); font-variant-numeric: tabular-nums; white-space: nowrap; }
    i { display: inline-block; width: 10px; height: 3px; margin-right: 5px; border-radius: 2px; vertical-align: middle; background: var(--plot-first); }
    span + span i { background: var(--plot-second); }
    .canvas { height: ${HEIGHT}px; overflow: hidden; }
  `,
  ];

  constructor() {
    super();
    this.name = "";
    this.at = [];
    this.lines = [];
    this.format = String;
    this.least = 1;
  }

  override render(): TemplateResult {
    const now = ({ name, values }: Line) => {
      const value = values.at(-1);
      return html`<span><i></i>${name} ${value === null || value === undefined ? "–" : this.format(value)}</span>`;
    };
    return html`<header><h4>${this.name}</h4>${this.lines.map(now)}</header>
      <div class="canvas" role="img" aria-label=${`${this.name} over time`}></div>`;
  }

  override firstUpdated(): void {
    void this.#create();
  }

  override updated(changed: PropertyValues): void {
    if (changed.has("at") || changed.has("lines")) this.#plot?.setData(this.#data);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#resize.disconnect();
    this.#scheme.removeEventListener("change", this.#redraw);
    this.#plot?.destroy();
    this.#plot = null;
  }

  async #create(): Promise<void> {
    const { default: Plot } = await import("uplot");
    const place = this.renderRoot.querySelector<HTMLElement>(".canvas");
    if (!place || !this.isConnected || this.#plot) return;
    const muted = () => this.#colour("--muted");
    const grid = { stroke: () => this.#colour("--line"), width: 1 };
    const font = "11px system-ui, sans-serif";
    const axis = { stroke: muted, grid, ticks: { show: false }, font };
    this.#plot = new Plot(
      {
        width: this.#width,
        height: HEIGHT,
        legend: { show: false },
        cursor: { show: false },
        padding: [8, 4, 0, 0],
        scales: { y: { range: (_plot, _least, most) => [0, Math.max(this.least, (most || 0) * 1.1)] } },
        axes: [
          { ...axis, size: 24, space: 70, values: (_plot, ticks) => ticks.map(clock) },
          { ...axis, size: 66, space: 24, values: (_plot, ticks) => ticks.map((tick) => this.format(tick)) },
        ],
        series: [
          {},
          ...this.lines.map((_line, index) => ({
            stroke: () => this.#colour(COLOURS[index] ?? "--ink"),
            width: 1.75,
            points: { show: false },
          })),
        ],
      },
      this.#data,
      place,
    );
    this.#resize.observe(place);
    this.#scheme.addEventListener("change", this.#redraw);
  }

  get #data(): uPlot.AlignedData {
    return [[...this.at], ...this.lines.map(({ values }) => [...values])];
  }

  get #width(): number {
    return Math.max(120, this.clientWidth);
  }

  /** A canvas knows no custom properties and no light-dark(). */
  #colour(property: string): string {
    const probe = this.renderRoot.appendChild(document.createElement("s"));
    probe.style.color = `var(${property})`;
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
  }
}

function clock(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString([], {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  });
}
