/** `<recording-thumbnail>`: the picture of a recording, fetched with the token once it comes into sight. */

import { css, html, LitElement, type PropertyValues, type TemplateResult } from "lit";
import * as icons from "../elements/icons";
import { tokens } from "../elements/theme";
import type { Recording, Recordings } from "../lib/recordings";

export class RecordingThumbnail extends LitElement {
  static override properties = {
    recording: { attribute: false },
    recordings: { attribute: false },
    url: { state: true },
  };
  declare recording: Recording;
  declare recordings: Recordings;
  declare private url: string;
  #loading = "";
  readonly #sight = new IntersectionObserver(
    (entries) => entries.some(({ isIntersecting }) => isIntersecting) && void this.#load(),
    { rootMargin: "200px" },
  );

  static override styles = [
    tokens,
    css`
    :host { display: grid; place-items: center; aspect-ratio: 16 / 9; overflow: hidden; border-radius: var(--radius); background: #0e0f11; color: #6b6e74; }
    img { width: 100%; height: 100%; object-fit: contain; }
    svg { width: 26px; height: 26px; }
  `,
  ];

  constructor() {
    super();
    this.url = "";
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#sight.observe(this);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#sight.disconnect();
    this.#show(null);
    this.#loading = "";
  }

  override updated(changed: PropertyValues): void {
    // A recording that has just begun gets its picture a little later.
    const before = changed.get("recording") as Recording | undefined;
    if (!before || this.url || this.#loading) return;
    if (before.bytes !== this.recording.bytes) this.#watchAnew();
  }

  #watchAnew(): void {
    this.#sight.unobserve(this);
    this.#sight.observe(this);
  }

  async #load(): Promise<void> {
    const { manifest } = this.recording;
    if (this.#loading === manifest || this.url) return;
    this.#loading = manifest;
    // Without a picture there is the symbol: whatever the reason, the rest of the page says it.
    const picture = await this.recordings.thumbnail(this.recording).catch(() => null);
    if (this.#loading !== manifest) return;
    this.#loading = "";
    if (this.isConnected) this.#show(picture);
  }

  #show(picture: Blob | null): void {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = picture ? URL.createObjectURL(picture) : "";
  }

  override render(): TemplateResult {
    return this.url ? html`<img src=${this.url} alt="" />` : icons.film;
  }
}
