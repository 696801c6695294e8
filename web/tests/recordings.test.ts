import { expect, test } from "vitest";
import { dayOf, monthOf, weeks } from "../src/lib/calendar";
import { codecName } from "../src/lib/format";
import { hasMedia } from "../src/lib/manifest";
import { dashParameters } from "../src/lib/parameters";
import { inOrder, objectPath, readEntry } from "../src/lib/recordings";

test("an entry of the index says all there is to know", () => {
  const entry = {
    id: "1718200000",
    stream: "cam",
    start_ts: 1_718_200_000_500_000,
    duration_ms: 12_000,
    mpd_path: "cam/1718200000/manifest.mpd",
    status: "Failed",
    reason: "disk full",
    bytes: 7,
    codecs: ["avc1.42e01f", "opus"],
  } as const;
  expect(readEntry(entry, "")).toEqual({
    stream: "cam",
    record: "1718200000",
    manifest: "cam/1718200000/manifest.mpd",
    startedAt: 1_718_200_000_500,
    duration: 12_000,
    status: "Failed",
    bytes: 7,
    codecs: ["H264", "Opus"],
    reason: "disk full",
  });
});

test.each([
  [{ record: "1718200000", mpd_path: "cam/1718200000/manifest.mpd" }, "1718200000", 1_718_200_000_000],
  [{ mpd_path: "cam/1718200000/manifest.mpd" }, "1718200000", 1_718_200_000_000],
  [{ record: "", mpd_path: "elsewhere/manifest.mpd" }, "", 0],
  [{ mpd_path: "elsewhere/manifest.mpd", duration_ms: null }, "elsewhere", 0],
])("Live777's entry %j", (entry, record, startedAt) => {
  expect(readEntry(entry, "cam")).toMatchObject({ stream: "cam", record, startedAt, duration: 0, status: "Completed" });
});

test("the newest recording is first", () => {
  const at = (record: string, stream: string) => readEntry({ record, mpd_path: `${stream}/${record}/m` }, stream);
  const found = inOrder([at("1718200000", "b"), at("1718200009", "c"), at("1718200000", "a")]);
  expect(found.map(({ stream }) => stream)).toEqual(["c", "a", "b"]);
});

test("the path of an object keeps its slashes and nothing else", () => {
  expect(objectPath("/a b/50%/ä?#/manifest.mpd")).toBe("api/record/object/a%20b/50%25/%C3%A4%3F%23/manifest.mpd");
});

test.each([
  ["avc1.640028", "H264"],
  ["hev1.1.6.L93.B0", "H265"],
  ["vp09.00.10.08", "VP9"],
  ["vp8", "VP8"],
  ["av01.0.04M.08", "AV1"],
  ["opus", "Opus"],
  ["h264", "H264"],
])("the codec %s is %s", (name, words) => expect(codecName(name)).toBe(words));

test.each([
  ["<MPD><Period/></MPD>", false],
  ["<MPD></MPD>", false],
  ["<MPD><Period><SegmentTimeline></SegmentTimeline></Period></MPD>", false],
  ['<MPD><Period><SegmentTimeline><S t="0" d="5"/></SegmentTimeline></Period></MPD>', true],
  ['<MPD><Period><AdaptationSet><SegmentTemplate duration="2"/></AdaptationSet></Period></MPD>', true],
])("%s can be played: %s", (manifest, playable) => expect(hasMedia(manifest)).toBe(playable));

test.each([
  ["2026-11-01", 1, 6, "2026-10-26", "2026-12-06"],
  ["2026-02-14", 0, 4, "2026-02-01", "2026-02-28"],
  ["2024-02-29", 1, 5, "2024-01-29", "2024-03-03"],
])("the weeks of %s that begin with day %d", (day, first, count, from, to) => {
  const found = weeks(day, first);
  expect(found.length).toBe(count);
  expect(found.every((week) => week.length === 7)).toBe(true);
  expect([found[0]?.[0], found.at(-1)?.[6]]).toEqual([from, to]);
  expect(new Set(found.flat()).size).toBe(count * 7);
});

test("months follow one another over the year's end", () => {
  expect(monthOf("2026-12-31", 1)).toBe("2027-01-01");
  expect(monthOf("2026-01-31", -1)).toBe("2025-12-01");
  expect(dayOf(new Date(2026, 0, 9))).toBe("2026-01-09");
});

test("parameters of the page that plays a recording", () => {
  expect(dashParameters("?mpd=cam%2F1%2Fmanifest.mpd&token=t&autoplay&muted=0")).toEqual({
    mpd: "cam/1/manifest.mpd",
    token: "t",
    autoplay: true,
    muted: false,
  });
});
