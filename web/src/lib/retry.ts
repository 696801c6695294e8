/** Waiting between attempts. */

/** Milliseconds until the next attempt; `random` in [0, 1) spreads the clients of a restarted server. */
export function backoff(attempt: number, first: number, retryAfter: number | null, random = Math.random()): number {
  const delay = first * 2 ** Math.min(attempt, 4) * (0.8 + 0.4 * random);
  return Math.round(Math.max(delay, (retryAfter ?? 0) * 1000));
}

/** Resolves after a time, or at once when `signal` is aborted. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
