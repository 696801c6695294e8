/** The recordings of a gateway: what there is, starting and stopping, the files. */

import { GatewayError, request } from "./errors";
import { codecName } from "./format";
import type { Gateway } from "./gateway";

export type RecordingStatus = "Active" | "Completed" | "Failed" | "Acked";

export interface Recording {
  stream: string;
  /** Name within the stream: its begin in seconds since the epoch, unless the directory was named otherwise. */
  record: string;
  /** Path of the manifest in the storage. */
  manifest: string;
  /** ms since the epoch; 0: not known. */
  startedAt: number;
  /** ms of media. */
  duration: number;
  status: RecordingStatus;
  /** 0: not known. */
  bytes: number;
  codecs: readonly string[];
  /** Why it ended, when that was not the wish of somebody. */
  reason: string;
}

/** An entry of `GET /api/recordings` or `GET /api/playback/{stream}`; other gateways leave some keys out. */
interface Entry {
  mpd_path: string;
  stream?: string;
  /** The record, in a list of recordings. */
  id?: string;
  /** The record, in a list of one stream. */
  record?: string;
  /** Microseconds since the epoch. */
  start_ts?: number;
  duration_ms?: number | null;
  status?: RecordingStatus;
  reason?: string | null;
  bytes?: number;
  codecs?: readonly string[];
}

const PAGE = 1000;
const AT_A_TIME = 6;

const directory = (manifest: string) => manifest.replace(/\/?[^/]*$/, "");

/** What an entry says; a record is named for its begin in seconds since the epoch, or it is not known. */
export function readEntry(entry: Entry, stream: string): Recording {
  const record = entry.record ?? entry.id ?? directory(entry.mpd_path).replace(/^.*\//, "");
  const { start_ts = /^\d{10}$/.test(record) ? Number(record) * 1e6 : 0, codecs = [] } = entry;
  return {
    stream: entry.stream ?? stream,
    record,
    manifest: entry.mpd_path,
    startedAt: Math.round(start_ts / 1000),
    duration: entry.duration_ms ?? 0,
    status: entry.status ?? "Completed",
    bytes: entry.bytes ?? 0,
    codecs: [...new Set(codecs.map(codecName))],
    reason: entry.reason ?? "",
  };
}

/** The newest first; of the same time, by name. */
export function inOrder(recordings: Iterable<Recording>): Recording[] {
  return [...recordings].sort((a, b) => b.startedAt - a.startedAt || (a.stream < b.stream ? -1 : 1));
}

export class Recordings {
  /** By manifest: what is known so far, and up to which change of the index. */
  readonly #known = new Map<string, Recording>();
  #since = 0;

  constructor(private readonly gateway: Gateway) {}

  /** All recordings; only the first call reads all of them, and those that were acknowledged. */
  async list(): Promise<Recording[]> {
    if (this.#since === 0) await this.#readPlayback();
    this.#since = await this.#changes(this.#since, "", (entry) =>
      this.#known.set(entry.mpd_path, readEntry(entry, "")),
    );
    return inOrder(this.#known.values());
  }

  /** Streams that are being recorded. */
  async active(): Promise<Set<string>> {
    const streams = new Set<string>();
    await this.#changes(0, "&status=Active", ({ status, stream = "" }) => status === "Active" && streams.add(stream));
    return streams;
  }

  async start(stream: string): Promise<void> {
    const headers = { "Content-Type": "application/json" };
    await this.#request(`api/record/${encodeURIComponent(stream)}`, { method: "POST", headers, body: "{}" });
  }

  async stop(stream: string): Promise<void> {
    await this.#request(`api/record/${encodeURIComponent(stream)}`, { method: "DELETE" });
  }

  async delete({ stream, record, manifest }: Recording): Promise<void> {
    await this.#request(`api/recordings/${encodeURIComponent(stream)}/${encodeURIComponent(record)}`, {
      method: "DELETE",
    });
    this.#known.delete(manifest);
  }

  /** The picture of a recording, or null where there is none. */
  async thumbnail({ manifest }: Recording): Promise<Blob | null> {
    try {
      return await (await this.#request(objectPath(`${directory(manifest)}/thumbnail.jpg`))).blob();
    } catch (error) {
      if (error instanceof GatewayError && error.status === 404) return null;
      throw error;
    }
  }

  manifest({ manifest }: Recording): URL {
    return new URL(objectPath(manifest), this.gateway.base);
  }

  /** All of a recording as one file. */
  file({ stream, record }: Recording): URL {
    const path = `api/playback/${encodeURIComponent(stream)}/${encodeURIComponent(record)}.mp4`;
    return new URL(path, this.gateway.base);
  }

  /** The page that plays one recording. */
  player({ manifest }: Recording): string {
    return new URL(`tools/dash.html?mpd=${encodeURIComponent(manifest)}&autoplay`, this.gateway.base).href;
  }

  /** Tells of each entry of the index that has changed since a change; returns the last one. */
  async #changes(since: number, query: string, tell: (entry: Entry) => unknown): Promise<number> {
    for (;;) {
      const path = `api/recordings?limit=${PAGE}&since_ts=${since}${query}`;
      const { sessions, last_ts } = (await this.#json(path)) as { sessions: Entry[]; last_ts?: number | null };
      sessions.forEach(tell);
      const last = Math.max(since, last_ts ?? 0);
      if (sessions.length < PAGE || last === since) return last;
      since = last;
    }
  }

  async #readPlayback(): Promise<void> {
    const queue = ((await this.#json("api/playback")) as string[]).values();
    const work = async () => {
      for (const stream of queue) {
        const entries = (await this.#json(`api/playback/${encodeURIComponent(stream)}`)) as Entry[];
        for (const entry of entries) this.#known.set(entry.mpd_path, readEntry(entry, stream));
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, work));
  }

  async #json(path: string): Promise<unknown> {
    return (await this.#request(path)).json();
  }

  async #request(path: string, init?: RequestInit): Promise<Response> {
    return request(new URL(path, this.gateway.base), this.gateway.token, init);
  }
}

/** Where an object of the storage is read. */
export function objectPath(path: string): string {
  return `api/record/object/${path.split("/").filter(Boolean).map(encodeURIComponent).join("/")}`;
}
