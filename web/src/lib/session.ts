/**
 * One WHIP or WHEP session: offer by POST, trickle and ICE restart by PATCH, end by DELETE (RFC 9725,
 * draft-ietf-wish-whep-04); layers and mute as in Live777.
 */

import { GatewayError, request } from "./errors";
import { iceServers, parseLinks } from "./link";
import { type Candidate, restartedAnswer, sameGeneration, trickleFragment, withStereo } from "./sdp";

const NO_TRICKLE = new Set([405, 501]);
const FRAGMENT = { "Content-Type": "application/trickle-ice-sdpfrag" };

const LAYER_RELATION = "urn:ietf:params:whep:ext:core:layer";
const EVENTS_RELATION = "urn:ietf:params:whep:ext:core:server-sent-events";

/** An encoding of a simulcast stream, or a spatial layer of the only one; other servers tell no more than the id. */
export interface Layer {
  encodingId?: string;
  spatialLayerId?: number;
  width?: number;
  height?: number;
  /** bit/s */
  bitrate?: number;
  /** Packets come in. */
  active?: boolean;
  /** This viewer gets it. */
  selected?: boolean;
}

export class Session {
  /** The offer that the candidates belong to: since a restart not the first. */
  #local: string;
  #candidates: Candidate[] = [];
  #gathered = false;
  #trickling = false;
  #generation = 0;
  #closed = false;

  private constructor(
    private readonly peer: RTCPeerConnection,
    readonly url: URL,
    private readonly token: string,
    private etag: string | null,
    readonly offer: string,
    readonly answer: string,
    /** Where a layer is chosen; null if the stream has none, as far as the server knew when the session began. */
    readonly layerUrl: URL | null,
    /** Where event streams are made; null if the server has none. */
    readonly eventsUrl: URL | null,
    /** The types of events that it knows. */
    readonly eventTypes: readonly string[],
  ) {
    this.#local = offer;
  }

  /**
   * Posts the peer's offer and applies the answer. The local description is set after the answer came, so that the
   * ice-servers of its `Link` headers take part in gathering.
   */
  static async open(peer: RTCPeerConnection, endpoint: string, token: string): Promise<Session> {
    const { sdp = "" } = await peer.createOffer();
    const offer = withStereo(sdp);
    const response = await request(endpoint, token, {
      method: "POST",
      headers: { "Content-Type": "application/sdp" },
      body: offer,
    });
    const location = response.headers.get("Location");
    if (!location) {
      throw new GatewayError(
        "The answer has no Location header; across origins, CORS must expose it.",
        response.status,
      );
    }
    const url = new URL(location, response.url);
    const link = response.headers.get("Link");
    const extension = (relation: string) =>
      parseLinks(link).find(({ params }) => params.get("rel")?.split(/\s+/).includes(relation));
    const [layers, events] = [extension(LAYER_RELATION), extension(EVENTS_RELATION)];
    const answer = await response.text();
    const session = new Session(
      peer,
      url,
      token,
      response.headers.get("ETag"),
      offer,
      answer,
      layers ? new URL(layers.target, response.url) : null,
      events ? new URL(events.target, response.url) : null,
      events?.params.get("events")?.split(",") ?? [],
    );
    try {
      const servers = iceServers(link);
      if (servers.length > 0) peer.setConfiguration({ ...peer.getConfiguration(), iceServers: servers });
      peer.addEventListener("icecandidate", ({ candidate }) => session.#gather(candidate));
      await peer.setLocalDescription({ type: "offer", sdp: offer });
      await peer.setRemoteDescription({ type: "answer", sdp: answer });
    } catch (error) {
      await session.close();
      if (error instanceof GatewayError) throw error;
      throw new GatewayError(`The browser refused the answer: ${error instanceof Error ? error.message : error}`, 422);
    }
    return session;
  }

  /** Ends the session on the server. Never throws: a server that is gone has ended it too. Survives the page's unload. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const options = { method: "DELETE", keepalive: true, signal: AbortSignal.timeout(3_000) };
    await request(this.url, this.token, options).catch(() => undefined);
  }

  /**
   * Looks for a new path to the server (RFC 9725 section 4.3.3); the media goes on where it did until there is one. Nothing
   * has changed when the server refuses.
   */
  async restart(): Promise<void> {
    const { sdp = "" } = await this.peer.createOffer({ iceRestart: true });
    const offer = withStereo(sdp);
    const headers = { ...FRAGMENT, "If-Match": "*" };
    const body = trickleFragment(offer, [], false);
    const response = await request(this.url, this.token, { method: "PATCH", headers, body });
    const fragment = await response.text();
    const answer = restartedAnswer(this.answer, fragment);
    if (response.status !== 200 || sameGeneration(answer, this.answer)) {
      throw new GatewayError("The server restarts no ICE.", 501);
    }
    this.etag = response.headers.get("ETag");
    this.#generation++;
    [this.#candidates, this.#gathered, this.#trickling] = [[], false, false];
    this.#local = offer;
    await this.peer.setLocalDescription({ type: "offer", sdp: offer });
    await this.peer.setRemoteDescription({ type: "answer", sdp: answer });
  }

  /** The server ended the session: there is nothing left to end. */
  forget(): void {
    this.#closed = true;
  }

  /** Whether the server is there and says what it knows of the session. */
  async answers(): Promise<boolean> {
    try {
      await request(this.url, this.token, { signal: AbortSignal.timeout(3_000) });
      return true;
    } catch (error) {
      return error instanceof GatewayError && error.status > 0 && error.status < 500;
    }
  }

  /** The layers of the stream, the best one first. */
  async layers(): Promise<Layer[]> {
    return (await (await request(this.#layerUrl, this.token)).json()) as Layer[];
  }

  /** Plays one layer; null leaves the choice to the server. */
  async selectLayer(layer: Pick<Layer, "encodingId" | "spatialLayerId"> | null): Promise<void> {
    if (layer === null) await request(this.#layerUrl, this.token, { method: "DELETE" });
    else await this.#post(this.#layerUrl, { encodingId: layer.encodingId, spatialLayerId: layer.spatialLayerId });
  }

  /** Makes an event stream of these types. */
  async openEvents(types: readonly string[]): Promise<URL> {
    if (!this.eventsUrl) throw new GatewayError("The server has no events.", 404);
    const response = await this.#post(this.eventsUrl, types);
    return new URL(response.headers.get("Location") ?? "", this.eventsUrl);
  }

  /** Stops or resumes one kind of media at the server. */
  async mute(kind: "audio" | "video", muted: boolean): Promise<void> {
    await this.#post(this.url, { kind, enabled: !muted });
  }

  get #layerUrl(): URL {
    return this.layerUrl ?? new URL(`${this.url.href}/layer`);
  }

  async #post(url: URL, body: unknown): Promise<Response> {
    const headers = { "Content-Type": "application/json" };
    return request(url, this.token, { method: "POST", headers, body: JSON.stringify(body) });
  }

  #gather(candidate: RTCIceCandidate | null): void {
    if (!candidate?.candidate) this.#gathered = true;
    else if (!candidate.sdpMLineIndex) this.#candidates.push(candidate);
    if (!this.#trickling) void this.#trickle();
  }

  async #trickle(): Promise<void> {
    const generation = this.#generation;
    const current = () => !this.#closed && generation === this.#generation;
    this.#trickling = true;
    while (current() && (this.#candidates.length > 0 || this.#gathered)) {
      const end = this.#gathered;
      const body = trickleFragment(this.#local, this.#candidates.splice(0), end);
      const headers = new Headers(FRAGMENT);
      if (this.etag) headers.set("If-Match", this.etag);
      try {
        await request(this.url, this.token, { method: "PATCH", headers, body });
      } catch (error) {
        if (!(error instanceof GatewayError && NO_TRICKLE.has(error.status))) console.debug("trickle:", error);
        return;
      }
      if (end) return;
    }
    if (current()) this.#trickling = false;
  }
}
