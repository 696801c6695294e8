/** Query parameters of /tools/player.html; names and meaning are Live777's. */

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

/** A flag is set by its presence, unless it says false or 0. A reconnect without a number waits one second. */
export function playerParameters(search: string): PlayerParameters {
  const query = new URLSearchParams(search);
  const flag = (name: string) => query.has(name) && !["false", "0"].includes(query.get(name) ?? "");
  const delay = Number(query.get("reconnect") || 1000);
  return {
    id: query.get("id") ?? "",
    token: query.get("token") ?? "",
    autoplay: flag("autoplay"),
    controls: flag("controls"),
    muted: flag("muted"),
    lowLatency: flag("lowlatency"),
    reconnect: flag("reconnect") ? (Number.isFinite(delay) ? Math.max(100, delay) : 1000) : null,
  };
}
