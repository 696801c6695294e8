/** Server-sent events over `fetch`: an EventSource cannot send an Authorization header. */

import { GatewayError, request } from "./errors";

/** Reads `text/event-stream` piece by piece: give it text, get the data of the events that it completed. */
export class EventParser {
  #rest = "";
  #data: string[] = [];

  push(text: string): string[] {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    const events: string[] = [];
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length > 0) events.push(this.#data.join("\n"));
        this.#data = [];
      } else if (/^data(:|$)/.test(line)) {
        this.#data.push(line.slice(5).replace(/^ /, ""));
      }
    }
    return events;
  }
}

/** The server sends a comment every 15 s: what is silent for longer than this is gone. */
const SILENCE_MS = 40_000;
const LOST = "The connection to the gateway was lost.";

export interface EventHandlers {
  /** The answer came: its headers. */
  onOpen(headers: Headers): void;
  onEvent(data: string): void;
}

/** Follows a stream of events. Throws GatewayError when it is refused, ends, breaks or falls silent. */
export async function follow(url: URL, token: string, handlers: EventHandlers, signal: AbortSignal): Promise<never> {
  const silence = new AbortController();
  let timer = 0;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE_MS) as unknown as number;
  };
  heard();
  try {
    const response = await request(url, token, {
      headers: { Accept: "text/event-stream" },
      signal: AbortSignal.any([signal, silence.signal]),
    });
    const type = response.headers.get("Content-Type") ?? "";
    if (!type.startsWith("text/event-stream") || !response.body) {
      await response.body?.cancel();
      throw new GatewayError("This is no stream of events.", 406);
    }
    handlers.onOpen(response.headers);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new EventParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new GatewayError(LOST);
      heard();
      for (const data of parser.push(value)) handlers.onEvent(data);
    }
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    throw new GatewayError(LOST);
  } finally {
    clearTimeout(timer);
  }
}
