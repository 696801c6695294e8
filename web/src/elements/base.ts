/** What both elements share: their endpoint, one client at a time, state on the outside, a reading per second. */

import { LitElement, type PropertyValues } from "lit";
import type { Client, ClientOptions } from "../lib/client";
import type { GatewayError } from "../lib/errors";
import { Gateway } from "../lib/gateway";
import type { Session } from "../lib/session";
import { readStats, type Stats } from "../lib/stats";

let gateway = new Gateway(new URL("/", location.href));

/** Names the gateway for elements that have a `stream` and no `src`. */
export function useGateway(value: Gateway): void {
  gateway = value;
}

export abstract class MediaElement<State extends string> extends LitElement {
  static override properties = {
    src: {},
    stream: {},
    token: {},
    controls: { type: Boolean },
    reconnect: {},
    datachannel: { type: Boolean },
    state: { state: true },
    message: { state: true },
    reading: { state: true },
  };
  /** Endpoint; wins over `stream`. */
  declare src: string | null;
  /** Name of a stream on the gateway that served the script. */
  declare stream: string | null;
  declare token: string | null;
  declare controls: boolean;
  /** Present: try again after a loss; a number is the first delay in ms. */
  declare reconnect: string | null;
  /** A data channel is opened: `send` uses it, `message` tells what comes in. */
  declare datachannel: boolean;
  /** What the element does now; also its `data-state` attribute. */
  declare state: State;
  /** The state in words, where there is more to say. */
  declare message: string;
  declare protected reading: Stats | null;
  protected client: Client | null = null;
  #timer = 0;
  readonly #leave = () => void this.stop();

  constructor(
    state: State,
    private readonly flow: "in" | "out",
  ) {
    super();
    this.src = this.stream = this.token = this.reconnect = null;
    this.controls = this.datachannel = false;
    this.state = state;
    this.message = "";
    this.reading = null;
  }

  abstract stop(): Promise<void>;

  /** The current reading, or null without a connection. */
  async stats(): Promise<Stats | null> {
    return readStats(this.client?.peer ?? null, this.flow, this.reading);
  }

  /** Sends text by the data channel; false if none is open. */
  send(text: string): boolean {
    return this.client?.send(text) ?? false;
  }

  /** The WHIP or WHEP session, while there is one. */
  get session(): Session | null {
    return this.client?.session ?? null;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.dataset["state"] = this.state;
    window.addEventListener("pagehide", this.#leave);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    window.removeEventListener("pagehide", this.#leave);
    void this.stop();
  }

  override willUpdate(changed: PropertyValues): void {
    if (changed.has("state") && this.hasUpdated) this.announce("state", { state: this.state, message: this.message });
    this.dataset["state"] = this.state;
  }

  protected endpoint(kind: "whip" | "whep"): string {
    if (this.src) return new URL(this.src, document.baseURI).href;
    return this.stream ? gateway[kind](this.stream) : "";
  }

  protected authorization(): string {
    return this.token ?? gateway.token;
  }

  /** The options that every client of an element has. */
  protected clientOptions(url: string): ClientOptions {
    return {
      url,
      token: this.authorization(),
      reconnect: this.firstDelay(),
      onSession: (session) => this.onSession(session),
      ...(this.datachannel && {
        onMessage: (data: string | ArrayBuffer, label: string) => this.announce("message", { data, label }),
      }),
    };
  }

  protected onSession({ url, offer, answer }: Session): void {
    this.announce("session", { url: url.href, offer, answer });
  }

  protected firstDelay(): number | null {
    if (this.reconnect === null) return null;
    return Math.max(100, Number(this.reconnect) || 1000);
  }

  /** Starts a client and its readings; the element hears only of the current one. */
  protected run(client: Client): void {
    this.client = client;
    this.reading = null;
    client.start();
    clearInterval(this.#timer);
    this.#timer = window.setInterval(() => void this.#read(), 1000);
  }

  protected async halt(): Promise<void> {
    clearInterval(this.#timer);
    const client = this.client;
    this.client = null;
    this.reading = null;
    await client?.stop();
  }

  protected fail(error: GatewayError): void {
    this.announce("error", { message: error.message, status: error.status });
  }

  /** Called with each reading while a client runs. */
  protected onReading(_stats: Stats, _before: Stats | null): void {}

  async #read(): Promise<void> {
    const stats = await this.stats();
    if (!stats || !this.client) return;
    const before = this.reading;
    this.reading = stats;
    this.onReading(stats, before);
    this.announce("stats", stats);
  }

  private announce(type: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
