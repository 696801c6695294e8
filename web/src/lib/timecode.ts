/**
 * The time as black and white cells of a picture, and back. Two rows of twenty: a white cell and a black one frame each
 * row and say what white and black are after encoding; between them 28 bits of milliseconds and a CRC of 8 bits.
 */

const COLUMNS = 20;
const ROWS = 2;
const TIME_BITS = 28;
const CRC_BITS = 8;
/** The code repeats after this many ms: three days. */
const PERIOD = 2 ** TIME_BITS;
/** Where the code is in the picture: a strip of its full width, in parts of its height. */
export const STRIP = { top: 0.87, height: 0.13 };

/** CRC-8 with the polynomial x^8 + x^2 + x + 1 (ITU-T I.432.1), over bits. */
function crc(bits: readonly boolean[]): number {
  return bits.reduce((sum, bit) => ((sum << 1) & 0xff) ^ (bit !== sum >= 0x80 ? 0x07 : 0), 0);
}

const toBits = (value: number, count: number) => Array.from({ length: count }, (_, bit) => ((value >> bit) & 1) === 1);

/** The cells of a time in ms, row by row; true is white. */
export function encode(milliseconds: number): boolean[] {
  const time = toBits(Math.floor(milliseconds) % PERIOD, TIME_BITS);
  const payload = [...time, ...toBits(crc(time), CRC_BITS)];
  const half = payload.length / ROWS;
  return Array.from({ length: ROWS }, (_, row) => [true, ...payload.slice(row * half, (row + 1) * half), false]).flat();
}

/** The time in the brightness (0-255) of cells as `encode` orders them, modulo `PERIOD`; null if there is none to read. */
export function decode(brightness: readonly number[]): number | null {
  const payload: boolean[] = [];
  for (let row = 0; row < ROWS; row++) {
    const cells = brightness.slice(row * COLUMNS, (row + 1) * COLUMNS);
    const [white = 0, black = 0] = [cells[0], cells[COLUMNS - 1]];
    if (white - black < 40) return null;
    payload.push(...cells.slice(1, -1).map((cell) => cell > (white + black) / 2));
  }
  const time = payload.slice(0, TIME_BITS);
  const sum = payload.slice(TIME_BITS).reduce((value, bit, place) => value + (bit ? 2 ** place : 0), 0);
  if (sum !== crc(time)) return null;
  return time.reduce((value, bit, place) => value + (bit ? 2 ** place : 0), 0);
}

/** How old a time that was read is, ms; slightly negative when the clocks of sender and reader differ. */
export function age(code: number, now: number): number {
  const passed = (((now - code) % PERIOD) + PERIOD) % PERIOD;
  return passed > PERIOD / 2 ? passed - PERIOD : passed;
}

/** Paints the strip of a time onto a picture. */
export function drawTime(context: CanvasRenderingContext2D, milliseconds: number): void {
  const { width, height } = context.canvas;
  encode(milliseconds).forEach((white, index) => {
    const [column, row] = [index % COLUMNS, Math.floor(index / COLUMNS)];
    const [left, top] = [(column * width) / COLUMNS, height * (STRIP.top + (row * STRIP.height) / ROWS)];
    context.fillStyle = white ? "#fff" : "#000";
    context.fillRect(Math.floor(left), Math.floor(top), Math.ceil(width / COLUMNS), Math.ceil(height));
  });
}

/** Reads the strip of the present picture of a video. */
export class TimeReader {
  readonly #context = new OffscreenCanvas(COLUMNS * CELL, ROWS * CELL).getContext("2d", { willReadFrequently: true });

  read(video: HTMLVideoElement): number | null {
    const context = this.#context;
    const { videoWidth: width, videoHeight: height } = video;
    if (!context || width === 0) return null;
    const [across, down] = [COLUMNS * CELL, ROWS * CELL];
    context.drawImage(video, 0, height * STRIP.top, width, height * STRIP.height, 0, 0, across, down);
    const { data } = context.getImageData(0, 0, across, down);
    return decode(Array.from({ length: COLUMNS * ROWS }, (_, cell) => middle(data, cell)));
  }
}

/** Pixels of a cell's side when it is read; its edges are not looked at. */
const CELL = 4;

function middle(data: Uint8ClampedArray, cell: number): number {
  const [left, top] = [(cell % COLUMNS) * CELL, Math.floor(cell / COLUMNS) * CELL];
  let sum = 0;
  for (const y of [1, 2]) for (const x of [1, 2]) sum += data[((top + y) * COLUMNS * CELL + left + x) * 4 + 1] ?? 0;
  return sum / 4;
}
