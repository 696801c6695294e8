/** What the page remembers of each stream, for its plots: the server is asked nothing more. */

import { isOpen, type StreamInfo } from "./gateway";

/** Columns of equal length; one entry is a sample. Rates in bit/s, loss in per cent, null: not known. */
export interface Series {
  /** Seconds since the epoch. */
  at: number[];
  incoming: number[];
  outgoing: number[];
  viewers: number[];
  loss: (number | null)[];
}

interface Kept {
  series: Series;
  packets: number;
  lost: number | null;
}

export class History {
  readonly #streams = new Map<string, Kept>();

  /** @param capacity samples kept of each stream */
  constructor(private readonly capacity: number) {}

  get(id: string): Series | undefined {
    return this.#streams.get(id)?.series;
  }

  /** Adds a sample of every stream, and forgets the streams that are gone. @param at milliseconds since the epoch */
  record(streams: readonly StreamInfo[], at: number): void {
    const present = new Set(streams.map(({ id }) => id));
    for (const id of this.#streams.keys()) if (!present.has(id)) this.#streams.delete(id);
    for (const stream of streams) this.#add(stream, at / 1000);
  }

  #add({ id, stats, subscribe }: StreamInfo, at: number): void {
    const { packets, packetsLost: lost = null } = stats.publish;
    const kept = this.#streams.get(id) ?? { series: empty(), packets, lost };
    this.#streams.set(id, kept);
    const { series } = kept;
    series.at.push(at);
    series.incoming.push(stats.publish.bitrate);
    series.outgoing.push(stats.subscribe.bitrate);
    series.viewers.push(subscribe.sessions.filter(isOpen).length);
    series.loss.push(percentage(packets - kept.packets, lost, kept.lost));
    kept.packets = packets;
    kept.lost = lost;
    if (series.at.length > this.capacity) for (const column of Object.values(series)) column.shift();
  }
}

const empty = (): Series => ({ at: [], incoming: [], outgoing: [], viewers: [], loss: [] });

function percentage(arrived: number, lost: number | null, before: number | null): number | null {
  if (lost === null || before === null) return null;
  const missing = Math.max(0, lost - before);
  return arrived + missing > 0 ? (100 * missing) / (Math.max(0, arrived) + missing) : 0;
}
