/** The Live777 HTTP API of the gateway that served this page or script. */

import { GatewayError, request } from "./errors";
import { follow } from "./events";
import { backoff, pause } from "./retry";

export interface Counters {
  bytes: number;
  packets: number;
  /** Packets that never came; not every gateway counts them. */
  packetsLost?: number;
  /** bit/s over the last two seconds. */
  bitrate: number;
}

/** The other end of a session with another server; its media came from `sourceUrl`, or go to `targetUrl`. */
export interface CascadeInfo {
  sourceUrl?: string;
  targetUrl?: string;
  sessionUrl?: string;
}

export interface SessionInfo {
  id: string;
  createdAt: number;
  /** 0 while the session lives. */
  leaveAt: number;
  state: "new" | "connecting" | "connected" | "disconnected" | "failed" | "closed";
  cascade?: CascadeInfo;
  hasDataChannel?: boolean;
  stats: Counters;
}

export interface StreamInfo {
  id: string;
  createdAt: number;
  publish: { leaveAt: number; sessions: SessionInfo[] };
  subscribe: { leaveAt: number; sessions: SessionInfo[] };
  codecs: { kind: string; codec: string; fmtp?: string }[];
  provisioned?: boolean;
  onDemand?: boolean;
  stats: { publish: Counters; subscribe: Counters };
}

/** One direction and the other end of a cascade; `authorization` is sent to it as it is. */
export interface CascadeRequest {
  direction: "pull" | "push";
  url: string;
  authorization: string;
}

/** Sessions stay listed for a while after their end. */
export const isOpen = (session: SessionInfo) => !["closed", "failed"].includes(session.state);

export interface Snapshot {
  streams: StreamInfo[];
  /** What to add to this machine's clock to get the gateway's, ms: uptimes do not depend on the viewer's. */
  clockOffset: number;
}

const POLL_MS = 2_000;
const RECONNECT_MS = 1_000;
/** What a gateway without events answers. */
const NO_EVENTS = new Set([404, 405, 406, 501]);

export class Gateway {
  token = "";

  /** @param base directory of the gateway's pages, ends with a slash */
  constructor(readonly base: URL) {}

  whip(stream: string): string {
    return this.#url("whip", stream);
  }

  whep(stream: string): string {
    return this.#url("whep", stream);
  }

  player(stream: string): string {
    const query = `id=${encodeURIComponent(stream)}&autoplay&controls&muted&reconnect=1000`;
    return new URL(`tools/player.html?${query}`, this.base).href;
  }

  debugger(stream: string): string {
    return new URL(`tools/debugger.html?id=${encodeURIComponent(stream)}`, this.base).href;
  }

  /** What the gateway is and can, as far as it says so. */
  async info(): Promise<{ version: string; features: readonly string[] }> {
    const response = await request(new URL("api/info", this.base), this.token);
    const { version, features } = (await response.json()) as { version?: unknown; features?: unknown };
    return {
      version: typeof version === "string" ? version : "",
      features: Array.isArray(features) ? features.map(String) : [],
    };
  }

  async create(stream: string): Promise<void> {
    await request(this.#url("api/streams", stream), this.token, { method: "POST" });
  }

  async destroy(stream: string): Promise<void> {
    await request(this.#url("api/streams", stream), this.token, { method: "DELETE" });
  }

  /** Ends one session; that of the publisher ends the stream. */
  async kick(stream: string, session: string): Promise<void> {
    const url = `${this.#url("session", stream)}/${encodeURIComponent(session)}`;
    await request(url, this.token, { method: "DELETE" });
  }

  async cascade(stream: string, { direction, url, authorization }: CascadeRequest): Promise<void> {
    await request(this.#url("api/cascade", stream), this.token, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        ...(authorization && { token: authorization }),
        [direction === "pull" ? "sourceUrl" : "targetUrl"]: url,
      }),
      // The gateway answers when the other server has.
      signal: AbortSignal.timeout(40_000),
    });
  }

  /**
   * Calls back with each new snapshot or error until `signal` is aborted. Follows the server's events with back-off, or
   * asks every two seconds where there are none.
   */
  async watch(
    onSnapshot: (snapshot: Snapshot) => void,
    onError: (error: unknown) => void,
    signal: AbortSignal,
  ): Promise<void> {
    let events = true;
    let attempt = 0;
    let clockOffset = 0;
    const clock = (headers: Headers) => {
      const now = Date.parse(headers.get("Date") ?? "");
      if (now) clockOffset = now - Date.now();
    };
    const show = (text: string) => {
      attempt = 0;
      onSnapshot({ streams: (JSON.parse(text) as StreamInfo[]).sort((a, b) => compare(a.id, b.id)), clockOffset });
    };
    while (!signal.aborted) {
      try {
        if (events) {
          const url = new URL("api/sse/streams", this.base);
          await follow(url, this.token, { onOpen: clock, onEvent: show }, signal);
        } else if (!document.hidden) {
          const response = await request(new URL("api/streams/", this.base), this.token);
          clock(response.headers);
          const text = await response.text();
          if (!signal.aborted) show(text);
        }
        if (!events) await pause(POLL_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        const status = error instanceof GatewayError ? error.status : 0;
        if (events && NO_EVENTS.has(status)) {
          events = false;
          continue;
        }
        onError(error);
        const retryAfter = error instanceof GatewayError ? error.retryAfter : null;
        await pause(backoff(attempt++, RECONNECT_MS, retryAfter), signal);
      }
    }
  }

  #url(kind: string, stream: string): string {
    return new URL(`${kind}/${encodeURIComponent(stream)}`, this.base).href;
  }
}

const { compare } = new Intl.Collator(undefined, { numeric: true });
