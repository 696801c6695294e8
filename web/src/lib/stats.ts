/** One flat reading per second out of `RTCPeerConnection.getStats()`. */

export interface Stats {
  /** Milliseconds since the epoch. */
  at: number;
  videoCodec: string;
  audioCodec: string;
  width: number;
  height: number;
  /** Frames decoded or encoded in the last second. */
  fps: number;
  /** bit/s of audio and video since the reading before. */
  bitrate: number;
  bytes: number;
  packets: number;
  packetsLost: number;
  /** Lost packets in per cent since the reading before; for a publisher, what the gateway reported. */
  loss: number;
  framesDecoded: number;
  framesEncoded: number;
  framesDropped: number;
  freezes: number;
  /** Mean time a frame spent in the jitter buffer since the reading before, ms. */
  jitterBuffer: number;
  /** Round trip to the gateway, ms. */
  roundTrip: number;
  /** Accumulated energy of the received audio: it stands still in silence, and in Chromium while the player is muted. */
  audioEnergy: number;
  /** What holds the encoder back: none, cpu, bandwidth or other. */
  limitation: string;
  /** Name of the video decoder or encoder. */
  implementation: string;
  /** Interarrival jitter of the video, ms. */
  jitter: number;
  /** Feedback that was sent (player) or came in (publisher). */
  nacks: number;
  keyFrameRequests: number;
  /** Both ends of the chosen path: `udp 192.0.2.1:5000 (host)`. */
  localAddress: string;
  remoteAddress: string;
  /** Sums that the next reading needs. */
  totals: { delay: number; emitted: number };
}

type Entry = Record<string, string | number | undefined> & { type: string };

/** Sums up a report; rates are since `before`. `flow` is the direction of the media. */
export function summarise(report: Iterable<[string, Entry]>, flow: "in" | "out", before: Stats | null): Stats {
  const entries = new Map(report);
  const stats: Stats = {
    at: 0,
    videoCodec: "",
    audioCodec: "",
    width: 0,
    height: 0,
    fps: 0,
    bitrate: 0,
    bytes: 0,
    packets: 0,
    packetsLost: 0,
    loss: 0,
    framesDecoded: 0,
    framesEncoded: 0,
    framesDropped: 0,
    freezes: 0,
    jitterBuffer: 0,
    roundTrip: 0,
    audioEnergy: 0,
    limitation: "none",
    implementation: "",
    jitter: 0,
    nacks: 0,
    keyFrameRequests: 0,
    localAddress: "",
    remoteAddress: "",
    totals: { delay: 0, emitted: 0 },
  };
  const number = (entry: Entry, key: string) => Number(entry[key] ?? 0);
  for (const entry of entries.values()) {
    stats.at = Math.max(stats.at, number(entry, "timestamp"));
    if (entry.type === "candidate-pair" && entry["nominated"]) {
      stats.roundTrip = number(entry, "currentRoundTripTime") * 1000;
      stats.localAddress = address(entries.get(String(entry["localCandidateId"])));
      stats.remoteAddress = address(entries.get(String(entry["remoteCandidateId"])));
    } else if (entry.type === "remote-inbound-rtp" && flow === "out") {
      stats.packetsLost += number(entry, "packetsLost");
    } else if (entry.type === (flow === "in" ? "inbound-rtp" : "outbound-rtp")) {
      const codec = String(entries.get(String(entry["codecId"]))?.["mimeType"] ?? "").replace(/^.*\//, "");
      stats.bytes += number(entry, flow === "in" ? "bytesReceived" : "bytesSent");
      stats.packets += number(entry, flow === "in" ? "packetsReceived" : "packetsSent");
      if (flow === "in") stats.packetsLost += number(entry, "packetsLost");
      if (entry["kind"] === "audio") {
        stats.audioCodec = codec;
        stats.audioEnergy += number(entry, "totalAudioEnergy");
        continue;
      }
      stats.videoCodec = codec;
      // Of simulcast, the largest picture counts.
      if (number(entry, "frameWidth") >= stats.width) {
        stats.width = number(entry, "frameWidth");
        stats.height = number(entry, "frameHeight");
        stats.fps = number(entry, "framesPerSecond");
      }
      stats.framesDecoded += number(entry, "framesDecoded");
      stats.framesEncoded += number(entry, "framesEncoded");
      stats.framesDropped += number(entry, "framesDropped");
      stats.freezes += number(entry, "freezeCount");
      stats.limitation = String(entry["qualityLimitationReason"] ?? "none");
      stats.implementation = String(entry[flow === "in" ? "decoderImplementation" : "encoderImplementation"] ?? "");
      stats.jitter = number(entry, "jitter") * 1000;
      stats.nacks += number(entry, "nackCount");
      stats.keyFrameRequests += number(entry, "pliCount");
      stats.totals.delay = number(entry, "jitterBufferDelay");
      stats.totals.emitted = number(entry, "jitterBufferEmittedCount");
    }
  }
  const last = before && before.bytes <= stats.bytes ? before : null;
  const seconds = last ? (stats.at - last.at) / 1000 : 0;
  if (last && seconds > 0) stats.bitrate = Math.round(((stats.bytes - last.bytes) * 8) / seconds);
  const lost = Math.max(0, stats.packetsLost - (last?.packetsLost ?? 0));
  const packets = stats.packets - (last?.packets ?? 0) + (flow === "in" ? lost : 0);
  stats.loss = packets > 0 ? Math.min(100, (lost / packets) * 100) : 0;
  const emitted = stats.totals.emitted - (last?.totals.emitted ?? 0);
  stats.jitterBuffer =
    emitted > 0 ? ((stats.totals.delay - (last?.totals.delay ?? 0)) / emitted) * 1000 : (last?.jitterBuffer ?? 0);
  return stats;
}

function address(candidate: Entry | undefined): string {
  if (!candidate) return "";
  const { protocol = "", address: host = "", port = "", candidateType = "" } = candidate;
  return `${protocol} ${String(host).includes(":") ? `[${host}]` : host}:${port} (${candidateType})`;
}

/** Reads a peer connection, or null if there is none to read. */
export async function readStats(
  peer: RTCPeerConnection | null,
  flow: "in" | "out",
  before: Stats | null,
): Promise<Stats | null> {
  if (!peer || peer.connectionState === "closed") return null;
  const report = await peer.getStats();
  return summarise(report as unknown as Map<string, Entry>, flow, before);
}
