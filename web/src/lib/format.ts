/** Numbers as people read them. */

/** bit/s with three significant digits: 950 kbit/s, 2.35 Mbit/s. */
export function bitrate(bits: number): string {
  if (bits < 1_000_000) return `${Math.round(bits / 1000)} kbit/s`;
  return `${(bits / 1_000_000).toPrecision(3)} Mbit/s`;
}

/** Octets with three significant digits: 512 B, 1.50 MB. */
export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) [count, unit] = [count / 1000, unit + 1];
  return `${unit === 0 ? count : count.toPrecision(3)} ${units[unit]}`;
}

/** Milliseconds as 0:07, 12:03, 3:12:03 or 2 d 3:12. */
export function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const [days, hours, minutes] = [
    Math.floor(seconds / 86400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
  ];
  const two = (value: number) => String(value).padStart(2, "0");
  if (days > 0) return `${days} d ${hours}:${two(minutes)}`;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

const CODECS: Record<string, string> = {
  ...{ opus: "Opus", red: "RED", pcmu: "PCMU", pcma: "PCMA" },
  // Of RFC 6381, which MPEG-DASH uses.
  ...{ avc1: "H264", avc3: "H264", hev1: "H265", hvc1: "H265", vp08: "VP8", vp09: "VP9", av01: "AV1", mp4a: "AAC" },
};

/** A codec as it is written: h264 and avc1.42e01f are H264, opus is Opus. */
export function codecName(name: string): string {
  const family = name.toLowerCase().replace(/\..*$/, "");
  return CODECS[family] ?? family.toUpperCase();
}
