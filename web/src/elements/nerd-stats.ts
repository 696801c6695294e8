/** The player's “stats for nerds”. */

import { css, html, nothing, type TemplateResult } from "lit";
import { bitrate, bytes, codecName } from "../lib/format";
import type { Stats } from "../lib/stats";

export const nerdStyles = css`
  .nerd { position: absolute; inset: 12px 12px auto auto; max-width: calc(100% - 24px); max-height: calc(100% - 64px); overflow: auto; padding: 8px 12px;
    border-radius: 8px; background: rgb(10 11 13 / 0.82); color: #f2f1ee; font: 12px/1.55 ui-monospace, monospace; }
  .nerd dl { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 0 14px; margin: 0; }
  .nerd dt { color: #b4b6bb; }
  .nerd dd { margin: 0; overflow-wrap: anywhere; }
`;

/** @param latency glass to glass in ms, null if the picture does not tell */
export function nerdStats(stats: Stats, latency: number | null, layer: string | null): TemplateResult {
  const fact = (name: string, value: string) => (value ? html`<dt>${name}</dt><dd>${value}</dd>` : nothing);
  const milliseconds = (value: number) => `${Math.round(value)} ms`;
  const path = [stats.localAddress, stats.remoteAddress].filter(Boolean).join(" → ");
  return html`<div class="nerd" role="region" aria-label="Statistics"><dl>
    ${fact("Codecs", [stats.videoCodec, stats.audioCodec].filter(Boolean).map(codecName).join(" + "))}
    ${fact("Picture", stats.width ? `${stats.width}×${stats.height} at ${stats.fps} fps` : "")}
    ${fact("Layer", layer ?? "")}
    ${fact("Bitrate", `${bitrate(stats.bitrate)} (${bytes(stats.bytes)})`)}
    ${fact("Packets", `${stats.packets}, lost ${stats.packetsLost} (${stats.loss.toFixed(1)} %)`)}
    ${fact("Frames", `${stats.framesDecoded}, dropped ${stats.framesDropped}, freezes ${stats.freezes}`)}
    ${fact("Buffer", `${milliseconds(stats.jitterBuffer)}, jitter ${milliseconds(stats.jitter)}`)}
    ${fact("RTT", milliseconds(stats.roundTrip))} ${fact("Latency", latency === null ? "" : milliseconds(latency))}
    ${fact("Feedback", `${stats.nacks} NACK, ${stats.keyFrameRequests} PLI`)}
    ${fact("Decoder", stats.implementation)} ${fact("Path", path)}
  </dl></div>`;
}
