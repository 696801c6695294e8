/**
 * The life of a WHIP or WHEP client: connect, notice the loss of the connection, look for another path, try again with
 * back-off.
 */

import { GatewayError } from "./errors";
import { backoff, pause } from "./retry";
import { Session } from "./session";

export type ClientState = "idle" | "connecting" | "connected" | "retrying" | "closed" | "failed";

export interface ClientOptions {
  /** WHIP or WHEP endpoint. */
  url: string;
  token?: string;
  /** First delay before a new attempt in ms, doubled up to 16 times; null gives up at the first failure. */
  reconnect?: number | null;
  /** Called after each change of `state`. */
  onState?: () => void;
  /** Called with each new session. */
  onSession?: (session: Session) => void;
  /** Present: a data channel is opened; called with what comes in by it, or by one that the other side opened. */
  onMessage?: (data: string | ArrayBuffer, label: string) => void;
}

/** Status of a session that the gateway ended on purpose, by closing DTLS. */
export const GONE = 410;
const CONNECT_TIMEOUT_MS = 15_000;
/** How long a connection may be interrupted: without a word of the server, and after it agreed to a restart of ICE. */
const INTERRUPTED_MS = 5_000;
const RESTARTED_MS = 10_000;
/** Between two tries to reach the server for that. */
const RESTART_AGAIN_MS = 1_000;
const SPREAD_MS = 1_000;
const RETRYABLE = new Set([0, 408, 409, 425, 429, 500, 502, 503, 504]);

export abstract class Client {
  state: ClientState = "idle";
  /** Why the client is retrying, closed or failed. */
  failure: GatewayError | null = null;
  peer: RTCPeerConnection | null = null;
  session: Session | null = null;
  #channel: RTCDataChannel | null = null;
  /** Where the next attempt goes. */
  #url: string;
  #moved = new AbortController();
  #run: AbortController | null = null;
  #done: Promise<void> = Promise.resolve();

  constructor(protected readonly options: ClientOptions) {
    this.#url = options.url;
  }

  /** Adds the transceivers of a new attempt. */
  protected abstract prepare(peer: RTCPeerConnection): void;

  protected retryable(error: GatewayError): boolean {
    return RETRYABLE.has(error.status);
  }

  start(): void {
    if (this.#run) return;
    this.#run = new AbortController();
    this.#done = this.#loop(this.#run.signal);
  }

  /** Ends the session; resolves when the server was told. */
  async stop(): Promise<void> {
    this.#run?.abort();
    this.#run = null;
    await this.#done;
    if (!this.#run) this.#enter("idle");
  }

  /**
   * The server wants the session to go on as another one: at this endpoint, or (null) at the same one, if the client tries
   * again at all. A second is spread over, since all viewers are told at once.
   */
  move(url: string | null): void {
    if (url === null && (this.options.reconnect ?? null) === null) return;
    this.#url = url ?? this.#url;
    this.#moved.abort();
  }

  /** Sends by the data channel; false if none is open. */
  send(text: string): boolean {
    if (this.#channel?.readyState !== "open") return false;
    this.#channel.send(text);
    return true;
  }

  async #loop(signal: AbortSignal): Promise<void> {
    let attempt = 0;
    while (!signal.aborted) {
      this.#enter("connecting");
      let connected = false;
      const moved = (this.#moved = new AbortController()).signal;
      const error = await this.#attempt(AbortSignal.any([signal, moved]), () => {
        connected = true;
        this.#enter("connected");
      });
      if (signal.aborted) return;
      if (moved.aborted) {
        this.#enter("connecting");
        await pause(SPREAD_MS * Math.random(), signal);
        continue;
      }
      if (error === null) return;
      this.#url = connected ? this.#url : this.options.url;
      const first = this.options.reconnect ?? null;
      if (first === null || !this.retryable(error)) {
        this.#run = null;
        return this.#enter(connected ? "closed" : "failed", error);
      }
      attempt = connected ? 0 : attempt + 1;
      this.#enter("retrying", error);
      await pause(backoff(attempt, first, error.retryAfter), signal);
    }
  }

  /** One session from offer to end; returns why it ended, or null if it was stopped. */
  async #attempt(signal: AbortSignal, onConnected: () => void): Promise<GatewayError | null> {
    const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.peer = peer;
    let session: Session | null = null;
    try {
      this.prepare(peer);
      if (this.options.onMessage) this.#openChannel(peer, this.options.onMessage);
      session = await Session.open(peer, this.#url, this.options.token ?? "");
      if (signal.aborted) return null;
      this.session = session;
      this.options.onSession?.(session);
      const error = await ended(peer, session, signal, onConnected);
      if (error?.status !== GONE) return error;
      session.forget();
      // A gateway that shuts down stops to answer before it takes leave of its peers: it will be back.
      return (await session.answers()) ? error : new GatewayError("The gateway has shut down.");
    } catch (error) {
      return error instanceof GatewayError ? error : new GatewayError(String(error), 422);
    } finally {
      if (this.peer === peer) this.peer = this.session = this.#channel = null;
      await session?.close();
      peer.close();
    }
  }

  #openChannel(peer: RTCPeerConnection, onMessage: (data: string | ArrayBuffer, label: string) => void): void {
    const listen = (channel: RTCDataChannel) => {
      channel.binaryType = "arraybuffer";
      channel.addEventListener("message", ({ data }: MessageEvent<string | ArrayBuffer>) => {
        onMessage(data, channel.label);
      });
    };
    this.#channel = peer.createDataChannel("live777");
    listen(this.#channel);
    peer.addEventListener("datachannel", ({ channel }) => listen(channel));
  }

  #enter(state: ClientState, failure: GatewayError | null = null): void {
    this.state = state;
    this.failure = failure;
    this.options.onState?.();
  }
}

/**
 * Waits for the end of a session: closed by the other side, lost, or never up. An interruption is answered with a restart
 * of ICE; the session is lost when that does not help.
 */
function ended(
  peer: RTCPeerConnection,
  session: Session,
  signal: AbortSignal,
  onConnected: () => void,
): Promise<GatewayError | null> {
  return new Promise((resolve) => {
    const watch = new AbortController();
    const finish = (error: GatewayError | null) => {
      clearTimeout(timer);
      watch.abort();
      resolve(error);
    };
    const lost = () => finish(new GatewayError("The connection was lost."));
    const unreachable = () => finish(new GatewayError("No media path to the gateway: are its media ports reachable?"));
    let timer = setTimeout(unreachable, CONNECT_TIMEOUT_MS);
    let connected = false;
    let interrupted: AbortController | null = null;
    const interrupt = () => {
      if (interrupted) return;
      interrupted = new AbortController();
      clearTimeout(timer);
      timer = setTimeout(lost, INTERRUPTED_MS);
      void restarted(session, AbortSignal.any([interrupted.signal, watch.signal])).then((outcome) => {
        if (outcome === "gone") return lost();
        if (outcome !== "restarted") return;
        clearTimeout(timer);
        timer = setTimeout(lost, RESTARTED_MS);
      });
    };
    const onPeer = () => {
      const state = peer.connectionState;
      if (state === "failed" && !connected) return unreachable();
      if (state === "closed") return lost();
      if (state === "failed" || state === "disconnected") interrupt();
      if (state === "connected") {
        clearTimeout(timer);
        interrupted?.abort();
        interrupted = null;
        if (!connected) onConnected();
        connected = true;
      }
    };
    peer.addEventListener("connectionstatechange", onPeer, { signal: watch.signal });
    const transport = peer.getReceivers().find((receiver) => receiver.transport)?.transport;
    const onTransport = () => {
      if (transport?.state === "closed") finish(new GatewayError("The gateway ended the session.", GONE));
    };
    transport?.addEventListener("statechange", onTransport, { signal: watch.signal });
    signal.addEventListener("abort", () => finish(null), { signal: watch.signal });
    onPeer();
    onTransport();
    if (signal.aborted) finish(null);
  });
}

/** Restarts ICE as soon as the server can be asked. "gone": it knows no such session; else it does not, or was not asked. */
async function restarted(session: Session, signal: AbortSignal): Promise<"restarted" | "gone" | "not"> {
  while (!signal.aborted) {
    try {
      await session.restart();
      return signal.aborted ? "not" : "restarted";
    } catch (error) {
      const status = error instanceof GatewayError ? error.status : 501;
      if (signal.aborted) return "not";
      if (status === 404 || status === GONE) return "gone";
      if (!RETRYABLE.has(status)) return "not";
      await pause(RESTART_AGAIN_MS, signal);
    }
  }
  return "not";
}
