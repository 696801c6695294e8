/** The Live777 HTTP API of the gateway that served this page or script. */

import { request } from "./errors";

export interface Counters {
  bytes: number;
  packets: number;
  /** bit/s over the last two seconds. */
  bitrate: number;
}

export interface SessionInfo {
  id: string;
  createdAt: number;
  state: "new" | "connecting" | "connected" | "disconnected" | "failed" | "closed";
}

export interface StreamInfo {
  id: string;
  createdAt: number;
  publish: { leaveAt: number; sessions: SessionInfo[] };
  subscribe: { leaveAt: number; sessions: SessionInfo[] };
  codecs: { kind: string; codec: string; fmtp?: string }[];
  provisioned?: boolean;
  stats: { publish: Counters; subscribe: Counters };
}

export interface Snapshot {
  streams: StreamInfo[];
  /** The gateway's clock, ms since the epoch: uptimes do not depend on the viewer's. */
  now: number;
}

const POLL_MS = 2_000;

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
    return new URL(
      `tools/player.html?id=${encodeURIComponent(stream)}&autoplay&controls&muted&reconnect=1000`,
      this.base,
    ).href;
  }

  async version(): Promise<string> {
    const info = (await (await request(new URL("api/info", this.base), this.token)).json()) as { version?: unknown };
    return typeof info.version === "string" ? info.version : "";
  }

  async streams(): Promise<Snapshot> {
    const response = await request(new URL("api/streams/", this.base), this.token);
    const streams = (await response.json()) as StreamInfo[];
    const now = Date.parse(response.headers.get("Date") ?? "") || Date.now();
    return { streams: streams.sort((a, b) => a.id.localeCompare(b.id)), now };
  }

  async destroy(stream: string): Promise<void> {
    await request(this.#url("api/streams", stream), this.token, { method: "DELETE" });
  }

  /** Calls back with each new snapshot or error while the page is visible; returns how to refresh now and how to stop. */
  watch(
    onSnapshot: (snapshot: Snapshot) => void,
    onError: (error: unknown) => void,
  ): { refresh(): void; stop(): void } {
    let timer = 0;
    let stopped = false;
    const poll = async () => {
      clearTimeout(timer);
      try {
        if (!document.hidden) onSnapshot(await this.streams());
      } catch (error) {
        onError(error);
      }
      clearTimeout(timer);
      if (!stopped) timer = window.setTimeout(() => void poll(), POLL_MS);
    };
    const refresh = () => void poll();
    document.addEventListener("visibilitychange", refresh);
    refresh();
    const stop = () => {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", refresh);
    };
    return { refresh, stop };
  }

  #url(kind: string, stream: string): string {
    return new URL(`${kind}/${encodeURIComponent(stream)}`, this.base).href;
  }
}
