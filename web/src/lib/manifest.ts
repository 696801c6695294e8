/** Waiting for a manifest that a player can begin with. */

import { GatewayError, request } from "./errors";
import { pause } from "./retry";

const POLL_MS = 2_000;
/** A manifest that is not there for this long does not come. */
const ABSENT_MS = 60_000;

/** Whether a manifest lists media: a recording that has just begun has no segment. */
export function hasMedia(manifest: string): boolean {
  return (
    /<Period\b/.test(manifest) && (/<SegmentTimeline\b/.test(manifest) ? /<S\b/ : /<AdaptationSet\b/).test(manifest)
  );
}

/** Resolves when there is something to play; `onWait` is called when there is not yet. Throws GatewayError. */
export async function untilPlayable(url: URL, token: string, onWait: () => void, signal: AbortSignal): Promise<void> {
  const since = Date.now();
  while (!signal.aborted) {
    try {
      const text = await (await request(url, token)).text();
      if (hasMedia(text)) return;
      if (!/\btype="dynamic"/.test(text)) throw new GatewayError("There is nothing in this recording.", 422);
    } catch (error) {
      const absent = error instanceof GatewayError && error.status === 404 && Date.now() - since < ABSENT_MS;
      if (!absent) throw error;
    }
    if (signal.aborted) return;
    onWait();
    await pause(POLL_MS, signal);
  }
}
