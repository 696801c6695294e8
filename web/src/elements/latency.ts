/** How old the picture of a test pattern is when it is shown. */

import { age, TimeReader } from "../lib/timecode";

/** Between two readings. */
const EVERY_MS = 200;
/** Readings whose median counts. */
const READINGS = 5;

/**
 * Watches a video until `signal` is aborted.
 * @param onLatency gets milliseconds by this machine's clock, or null for a picture that tells no time
 */
export function watchLatency(
  video: HTMLVideoElement,
  onLatency: (latency: number | null) => void,
  signal: AbortSignal,
): void {
  const reader = new TimeReader();
  const ages: number[] = [];
  let next = 0;
  const look: VideoFrameRequestCallback = (now, { expectedDisplayTime }) => {
    if (signal.aborted) return;
    if (now >= next) {
      next = now + EVERY_MS;
      const code = reader.read(video);
      if (code === null) ages.length = 0;
      else ages.push(age(code, performance.timeOrigin + expectedDisplayTime));
      if (ages.length > READINGS) ages.shift();
      const median = ages.toSorted((a, b) => a - b)[ages.length >> 1];
      onLatency(median === undefined ? null : Math.round(median));
    }
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback?.(look);
}
