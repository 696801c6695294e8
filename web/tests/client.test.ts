import { describe, expect, test } from "vitest";
import { refusal } from "../src/lib/errors";
import { bitrate, bytes, codecName, duration } from "../src/lib/format";
import { debuggerParameters, playerParameters } from "../src/lib/parameters";
import { backoff } from "../src/lib/retry";
import { summarise } from "../src/lib/stats";
import { bareToken } from "../src/lib/token";
import { encodings } from "../src/lib/whip";

test("back-off doubles up to 16 times, spreads by a fifth and obeys Retry-After", () => {
  const delays = [0, 1, 2, 3, 4, 5, 50].map((attempt) => backoff(attempt, 1000, null, 0.5));
  expect(delays).toEqual([1000, 2000, 4000, 8000, 16000, 16000, 16000]);
  expect([backoff(0, 1000, null, 0), backoff(0, 1000, null, 1)]).toEqual([800, 1200]);
  expect(backoff(0, 1000, 30, 0.5)).toBe(30_000);
});

describe("a refusal in words", () => {
  const read = (status: number, type: string, body: string, extra: Record<string, string> = {}) =>
    refusal(new Response(body, { status, headers: { "Content-Type": type, ...extra } }));

  test("the detail of a problem wins over its title", async () => {
    const error = await read(422, "application/problem+json", '{"title":"T","detail":"no common codec"}');
    expect([error.message, error.status, error.retryAfter]).toEqual(["No common codec.", 422, null]);
    expect((await read(409, "application/problem+json", '{"title":"T"}')).message).toBe("T.");
  });

  test("plain text, broken JSON and HTML", async () => {
    expect((await read(404, "text/plain; charset=utf-8", "stream not exists")).message).toBe("Stream not exists.");
    expect((await read(503, "application/json", "{", { "Retry-After": "3" })).retryAfter).toBe(3);
    expect((await read(502, "text/html", "<h1>Bad gateway</h1>")).message).toBe("The gateway answered 502.");
    expect((await read(401, "text/plain", "")).message).toBe("A valid token is needed.");
    expect((await read(406, "application/sdp", "v=0")).message).toBe("This browser has no codec for the stream.");
    const offer = "v=0\r\na=rtpmap:96 H265/90000\r\na=rtpmap:97 rtx/90000\r\na=rtpmap:98 H265/90000\r\n";
    expect((await read(406, 'application/sdp; valid-until="x"', offer)).message).toBe(
      "This browser has no codec for the stream (H265).",
    );
  });
});

test("the parameters of the player page", () => {
  expect(
    playerParameters("?id=a%2Fb%20%3Cimg%3E&autoplay&muted=&controls=false&reconnect=3000&token=t&lowlatency"),
  ).toEqual({
    id: "a/b <img>",
    token: "t",
    autoplay: true,
    controls: false,
    muted: true,
    lowLatency: true,
    reconnect: 3000,
  });
  const reconnect = (search: string) => playerParameters(search).reconnect;
  expect(["", "?reconnect", "?reconnect=0", "?reconnect=soon", "?reconnect=1"].map(reconnect)).toEqual([
    null,
    1000,
    null,
    1000,
    100,
  ]);
});

test("the parameters of the debugger", () => {
  expect(debuggerParameters("?id=x&token=t&acodec=opus&vcodec=vp8&qrfps=15&lowlatency")).toEqual({
    id: "x",
    token: "t",
    audioCodec: "opus",
    videoCodec: "vp8",
    fps: 15,
    lowLatency: true,
  });
  const fps = (search: string) => debuggerParameters(search).fps;
  expect(["", "?qrfps=0", "?qrfps=fast", "?qrfps=1000", "?qrfps=24.4"].map(fps)).toEqual([30, 30, 30, 30, 24]);
});

test("a token may be pasted with its scheme", () => {
  expect(["abc", " Bearer abc\n", "bearer  abc", ""].map(bareToken)).toEqual(["abc", "abc", "abc", ""]);
});

test("the encodings of simulcast and of SVC", () => {
  expect(encodings("", 0, 0)).toEqual([{}]);
  expect(encodings("", 2000, 25)).toEqual([{ maxBitrate: 2_000_000, maxFramerate: 25 }]);
  expect(encodings("L1T3", 0, 0)).toEqual([{ scalabilityMode: "L1T3" }]);
  expect(encodings("3", 900, 0)).toEqual([
    { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 100_000, scalabilityMode: "L1T1" },
    { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 300_000, scalabilityMode: "L1T1" },
    { rid: "f", scaleResolutionDownBy: 1, maxBitrate: 900_000, scalabilityMode: "L1T1" },
  ]);
  expect(encodings("2", 0, 0).map(({ rid }) => rid)).toEqual(["h", "f"]);
});

test("numbers as people read them", () => {
  expect([0, 999, 1500, 24_600, 2_345_678, 123_456_789, 5e12].map(bytes)).toEqual([
    "0 B",
    "999 B",
    "1.50 kB",
    "24.6 kB",
    "2.35 MB",
    "123 MB",
    "5.00 TB",
  ]);
  expect([0, 950_400, 2_345_678, 12_000_000].map(bitrate)).toEqual([
    "0 kbit/s",
    "950 kbit/s",
    "2.35 Mbit/s",
    "12.0 Mbit/s",
  ]);
  expect([-5, 7_000, 723_000, 11_523_000, 184_320_000].map(duration)).toEqual([
    "0:00",
    "0:07",
    "12:03",
    "3:12:03",
    "2 d 3:12",
  ]);
  expect(["opus", "h264", "vp8"].map(codecName)).toEqual(["Opus", "H264", "VP8"]);
});

test("rates are between two readings", () => {
  const report = (at: number, bytes: number, lost: number) =>
    summarise(
      [
        ["C", { type: "codec", mimeType: "video/VP8" }],
        [
          "V",
          {
            type: "inbound-rtp",
            kind: "video",
            timestamp: at,
            codecId: "C",
            bytesReceived: bytes,
            packetsReceived: bytes / 1000,
            packetsLost: lost,
            frameWidth: 640,
            frameHeight: 360,
            jitterBufferDelay: at / 1000,
            jitterBufferEmittedCount: at / 50,
          },
        ],
      ],
      "in",
      first,
    );
  let first: ReturnType<typeof summarise> | null = null;
  first = report(1000, 90_000, 0);
  const second = report(2000, 180_000, 10);
  expect(second).toMatchObject({ videoCodec: "VP8", width: 640, bitrate: 720_000, loss: 10, packetsLost: 10 });
  expect(second.jitterBuffer).toBeCloseTo(50);
});
