import { expect, test } from "vitest";
import type { SessionInfo, StreamInfo } from "../src/lib/gateway";
import { History } from "../src/lib/history";

const counters = { bytes: 0, packets: 0, bitrate: 0 };
const viewer = (state: SessionInfo["state"]): SessionInfo => ({
  id: state,
  createdAt: 0,
  leaveAt: 0,
  state,
  stats: counters,
});

function stream(id: string, packets: number, packetsLost?: number): StreamInfo {
  const publish = { ...counters, packets, bitrate: packets * 10, ...(packetsLost !== undefined && { packetsLost }) };
  return {
    id,
    createdAt: 0,
    publish: { leaveAt: 0, sessions: [] },
    subscribe: { leaveAt: 0, sessions: [viewer("connected"), viewer("connecting"), viewer("closed")] },
    codecs: [],
    stats: { publish, subscribe: { ...counters, bitrate: 7 } },
  };
}

test("samples are kept up to a bound, and of streams that are there", () => {
  const history = new History(3);
  for (let at = 1; at <= 5; at++) history.record([stream("a", at * 100), stream("b", 0)], at * 2000);
  expect(history.get("a")).toEqual({
    at: [6, 8, 10],
    incoming: [3000, 4000, 5000],
    outgoing: [7, 7, 7],
    viewers: [2, 2, 2],
    loss: [null, null, null],
  });
  history.record([stream("b", 0)], 12_000);
  expect(history.get("a")).toBeUndefined();
});

test("loss is between two samples, in per cent of what was sent", () => {
  const history = new History(10);
  for (const [packets, lost] of [
    [0, 0],
    [90, 10],
    [190, 10],
    [190, 10],
  ] as const)
    history.record([stream("a", packets, lost)], 0);
  expect(history.get("a")?.loss).toEqual([0, 10, 0, 0]);
});
