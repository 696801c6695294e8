/** What can go wrong between a page and a gateway, in words for people. */

import { codecNames } from "./sdp";

export class GatewayError extends Error {
  /**
   * @param status HTTP status, or 0 when no answer came or the media path failed
   * @param retryAfter seconds the server asked to wait
   * @param code Twirp's word for the status
   */
  constructor(
    message: string,
    readonly status = 0,
    readonly retryAfter: number | null = null,
    readonly code = "",
  ) {
    super(message);
    this.name = "GatewayError";
  }
}

const MEANING: Record<number, string> = {
  401: "A valid token is needed.",
  403: "The token does not allow this.",
  404: "There is no such stream.",
  406: "This browser has no codec for the stream.",
  409: "Somebody is already publishing to this stream.",
  422: "The gateway cannot use the offered media.",
  429: "Too many requests.",
  503: "The gateway is busy.",
};

/**
 * Reads a refusal: problem+json (RFC 9457), an error of Twirp, an offer of codecs that we do not have, else short plain
 * text, else what the status means.
 */
export async function refusal(response: Response): Promise<GatewayError> {
  const body = await response.text().catch(() => "");
  const type = response.headers.get("Content-Type") ?? "";
  let text = "";
  let code = "";
  if (/json/.test(type)) {
    const problem = parse(body);
    const texts = [problem["detail"], problem["title"], problem["msg"]];
    text = texts.find((value): value is string => typeof value === "string") ?? "";
    if (typeof problem["code"] === "string") code = problem["code"];
  } else if (/^text\/plain/.test(type) && body.length <= 200) {
    text = body;
  } else if (response.status === 406 && /^application\/sdp/.test(type)) {
    const names = codecNames(body);
    if (names.length > 0) text = `This browser has no codec for the stream (${names.join(", ")})`;
  }
  const retryAfter = Number(response.headers.get("Retry-After") ?? NaN);
  const sentence = text
    .trim()
    .replace(/^[a-z]/, (letter) => letter.toUpperCase())
    .replace(/[^.!?]$/, "$&.");
  const message = sentence || MEANING[response.status] || `The gateway answered ${response.status}.`;
  return new GatewayError(message, response.status, Number.isFinite(retryAfter) ? retryAfter : null, code);
}

function parse(body: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** `fetch` with a bearer token and a time limit that throws `GatewayError` and nothing else. */
export async function request(url: string | URL, token: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (token) headers.set("Authorization", `Bearer ${token}`);
  let response: Response;
  try {
    response = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(15_000), ...init, headers });
  } catch {
    const foreign = new URL(url, location.href).origin !== location.origin;
    throw new GatewayError(
      `The gateway cannot be reached${foreign ? ", or does not let this site in (http.cors)" : ""}.`,
    );
  }
  if (!response.ok) throw await refusal(response);
  return response;
}
