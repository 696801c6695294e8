/** Query parameters of the pages below /tools/; names and meaning are Live777's. */

export interface PlayerParameters {
  id: string;
  token: string;
  autoplay: boolean;
  controls: boolean;
  muted: boolean;
  lowLatency: boolean;
  /** First delay before a new attempt in ms; null: none. */
  reconnect: number | null;
}

export interface DebuggerParameters {
  id: string;
  token: string;
  audioCodec: string;
  videoCodec: string;
  /** Frames per second of the test pattern. */
  fps: number;
  lowLatency: boolean;
}

export interface DashParameters {
  /** A URL, or the path of a manifest in the storage. */
  mpd: string;
  token: string;
  autoplay: boolean;
  muted: boolean;
}

/** A flag is set by its presence, unless it says false or 0. */
const flag = (query: URLSearchParams, name: string) =>
  query.has(name) && !["false", "0"].includes(query.get(name) ?? "");

/** A reconnect without a number waits one second. */
export function playerParameters(search: string): PlayerParameters {
  const query = new URLSearchParams(search);
  const delay = Number(query.get("reconnect") || 1000);
  return {
    id: query.get("id") ?? "",
    token: query.get("token") ?? "",
    autoplay: flag(query, "autoplay"),
    controls: flag(query, "controls"),
    muted: flag(query, "muted"),
    lowLatency: flag(query, "lowlatency"),
    reconnect: flag(query, "reconnect") ? (Number.isFinite(delay) ? Math.max(100, delay) : 1000) : null,
  };
}

export function debuggerParameters(search: string): DebuggerParameters {
  const query = new URLSearchParams(search);
  const fps = Number(query.get("qrfps"));
  return {
    id: query.get("id") ?? "",
    token: query.get("token") ?? "",
    audioCodec: query.get("acodec") ?? "",
    videoCodec: query.get("vcodec") ?? "",
    fps: fps >= 1 && fps <= 60 ? Math.round(fps) : 30,
    lowLatency: flag(query, "lowlatency"),
  };
}

export function dashParameters(search: string): DashParameters {
  const query = new URLSearchParams(search);
  return {
    mpd: query.get("mpd") ?? "",
    token: query.get("token") ?? "",
    autoplay: flag(query, "autoplay"),
    muted: flag(query, "muted"),
  };
}
