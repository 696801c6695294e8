import { expect, test } from "vitest";
import { age, decode, encode } from "../src/lib/timecode";

const NOW = Date.UTC(2026, 10, 21, 12, 0, 0, 123);
const PERIOD = 2 ** 28;
const bright = (cells: boolean[]) => cells.map((white) => (white ? 235 : 16));

test("a time survives, also as grey and noise", () => {
  for (const time of [0, 1, PERIOD - 1, NOW]) expect(decode(bright(encode(time)))).toBe(time % PERIOD);
  const noisy = bright(encode(NOW)).map((cell, index) => 90 + cell / 3 + ((index * 7919) % 21) - 10);
  expect(decode(noisy)).toBe(NOW % PERIOD);
});

test("what is no code is not read", () => {
  const cells = bright(encode(NOW));
  const flipped = (at: number) => cells.map((cell, index) => (index === at ? 251 - cell : cell));
  for (let at = 0; at < cells.length; at++) expect(decode(flipped(at)), `cell ${at}`).toBeNull();
  expect(decode(cells.map(() => 128))).toBeNull();
  expect(decode([])).toBeNull();
});

test("the age of a code, across its repetition and with a clock that is behind", () => {
  const code = (time: number) => decode(bright(encode(time))) ?? NaN;
  expect(age(code(NOW), NOW + 85)).toBe(85);
  expect(age(code(NOW), NOW - 3)).toBe(-3);
  const wrap = Math.ceil(NOW / PERIOD) * PERIOD;
  expect(age(code(wrap - 10), wrap + 40)).toBe(50);
});
