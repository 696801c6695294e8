/**
 * A drawn source: colour bars, a moving dot, a clock with milliseconds, a frame counter, and the time once more as cells
 * that a player reads; a beep on each second.
 */

import { drawTime } from "../lib/timecode";

const BARS = ["#c0c0c0", "#c0c000", "#00c0c0", "#00c000", "#c000c0", "#c00000", "#0000c0"];

export class TestPattern {
  readonly stream: MediaStream;
  readonly #canvas = document.createElement("canvas");
  readonly #audio = new AudioContext();
  readonly #interval: number;
  #frame = 0;
  #next = performance.now();
  #second = 0;
  #stopped = false;

  constructor(width: number, height: number, fps: number) {
    this.#canvas.width = width;
    this.#canvas.height = height;
    this.#interval = 1000 / fps;
    this.#draw();
    const speaker = this.#audio.createMediaStreamDestination();
    const tone = this.#audio.createOscillator();
    tone.frequency.value = 1000;
    this.#gain.gain.value = 0;
    tone.connect(this.#gain).connect(speaker);
    tone.start();
    this.stream = new MediaStream([...this.#canvas.captureStream(fps).getTracks(), ...speaker.stream.getTracks()]);
    void this.#audio.resume();
    this.#animate();
    document.addEventListener("visibilitychange", this.#ring);
    this.#ring();
  }

  readonly #gain = this.#audio.createGain();

  stop(): void {
    this.#stopped = true;
    document.removeEventListener("visibilitychange", this.#ring);
    for (const track of this.stream.getTracks()) track.stop();
    void this.#audio.close();
  }

  /** Smooth frames while the page is seen. */
  #animate = (): void => {
    if (this.#stopped) return;
    this.#tick();
    requestAnimationFrame(this.#animate);
  };

  /** Frames while the page is hidden: browsers slow its timers down, but not its audio clock. */
  #ring = (): void => {
    if (this.#stopped || !document.hidden) return;
    this.#tick();
    const bell = new ConstantSourceNode(this.#audio, { offset: 0 });
    bell.onended = this.#ring;
    bell.connect(this.#gain);
    bell.start();
    bell.stop(this.#audio.currentTime + this.#interval / 1000);
  };

  #tick(): void {
    const now = performance.now();
    if (now < this.#next - 2) return;
    this.#next = Math.max(this.#next + this.#interval, now - this.#interval);
    const second = Math.floor(Date.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      const at = this.#audio.currentTime;
      this.#gain.gain.setValueAtTime(0.2, at);
      this.#gain.gain.setValueAtTime(0, at + 0.08);
    }
    this.#draw();
  }

  #draw(): void {
    const { width: w, height: h } = this.#canvas;
    const context = this.#canvas.getContext("2d", { alpha: false });
    if (!context) return;
    const now = new Date();
    const phase = (now.getTime() % 1000) / 1000;
    BARS.forEach((colour, index) => {
      context.fillStyle = colour;
      context.fillRect(Math.floor((index * w) / 7), 0, Math.ceil(w / 7), h * 0.5);
    });
    context.fillStyle = "#101214";
    context.fillRect(0, h * 0.5, w, h * 0.5);
    context.fillStyle = "#ff5a40";
    context.fillRect(0, h * 0.5, w * phase, h * 0.02);
    context.beginPath();
    context.arc(w * (0.06 + 0.88 * phase), h * (0.3 - 0.16 * Math.sin(phase * Math.PI)), h * 0.06, 0, 2 * Math.PI);
    context.fillStyle = phase < 0.08 ? "#ff5a40" : "#fff";
    context.fill();
    const two = (value: number) => String(value).padStart(2, "0");
    const clock = `${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}.${String(now.getMilliseconds()).padStart(3, "0")}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillStyle = "#fff";
    context.font = `600 ${Math.round(h * 0.17)}px ui-monospace, monospace`;
    context.fillText(clock, w / 2, h * 0.635, w * 0.94);
    context.fillStyle = "#a8abb1";
    context.font = `${Math.round(h * 0.065)}px ui-monospace, monospace`;
    context.fillText(`frame ${String(this.#frame++).padStart(6, "0")}   ${w}×${h}`, w / 2, h * 0.79, w * 0.94);
    drawTime(context, now.getTime());
  }
}
