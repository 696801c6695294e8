/**
 * What a gateway tells a viewer of its stream: the server-sent events of WHEP (webrtc-http-egress-events). Their address is a
 * secret that needs no token, so that an EventSource can open it.
 */

import type { Layer, Session } from "./session";

export interface ViewerEvents {
  /** The layers are told from here on, those of now first. */
  onOpen(): void;
  /** There is a publisher, or not any more. */
  onLive(live: boolean): void;
  /** The layers to choose from, the best first; none where there is no choice. */
  onLayers(layers: Layer[]): void;
  /** The session is about to end: go on at this WHEP endpoint, or (null) at the one where it began. */
  onReconnect(url: string | null): void;
  /** Nothing is heard any more. */
  onLost(): void;
}

const TYPES = ["active", "inactive", "layers", "reconnect"];

/** A browser has six connections to an origin over HTTP/1.1: some must stay free for everything else. */
const MOST = 3;
let open = 0;

/** Follows a session until `signal` is aborted; where the server has no events, or too many are open, nothing is heard. */
export async function followViewer(session: Session, events: ViewerEvents, signal: AbortSignal): Promise<void> {
  const types = TYPES.filter((type) => session.eventTypes.includes(type));
  if (types.length === 0 || open >= MOST) return;
  open++;
  signal.addEventListener("abort", () => open--, { once: true });
  if (types.includes("layers")) events.onOpen();
  const url = await session.openEvents(types).catch(() => null);
  if (signal.aborted) return;
  if (url === null) return events.onLost();
  const source = new EventSource(url);
  signal.addEventListener("abort", () => source.close(), { once: true });
  const on = (type: string, hear: (data: unknown) => void) =>
    source.addEventListener(type, (event: MessageEvent<string>) => {
      if (!signal.aborted) hear(parse(event.data));
    });
  on("active", () => events.onLive(true));
  on("inactive", () => events.onLive(false));
  on("layers", (data) => events.onLayers(readLayers(data)));
  on("reconnect", (data) => events.onReconnect(readUrl(data, session.url)));
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED && !signal.aborted) events.onLost();
  });
}

/** One entry for each encoding, or for each spatial layer of the only one: of several with the same picture the first. */
export function readLayers(data: unknown): Layer[] {
  const sections = Object.values((data ?? {}) as Record<string, unknown>);
  const told = sections.find((section): section is Told[] => Array.isArray(section) && section.length > 0) ?? [];
  const several = new Set(told.map(({ rid }) => rid)).size > 1;
  const found = new Map<string | number, Layer>();
  for (const { rid, spatialLayerId, bitrate = 0, width, height } of told) {
    const id = several ? rid : (spatialLayerId ?? rid);
    if (id === undefined || found.has(id)) continue;
    found.set(id, {
      ...(typeof id === "string" ? { encodingId: id } : { spatialLayerId: id }),
      ...(width !== undefined && { width }),
      ...(height !== undefined && { height }),
      bitrate,
      active: bitrate > 0,
    });
  }
  return found.size > 1 ? [...found.values()] : [];
}

interface Told {
  rid?: string;
  spatialLayerId?: number;
  bitrate?: number;
  width?: number;
  height?: number;
}

function readUrl(data: unknown, base: URL): string | null {
  const { url } = (data ?? {}) as { url?: unknown };
  if (typeof url !== "string" || !URL.canParse(url, base.href)) return null;
  const target = new URL(url, base);
  return /^https?:$/.test(target.protocol) ? target.href : null;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
