/** embed.js: registers the elements on any page; `stream` names streams of the gateway that served this file. */

import { useGateway } from "./elements/base";
import { WhepPlayer } from "./elements/whep-player";
import { WhipPublisher } from "./elements/whip-publisher";
import { Gateway } from "./lib/gateway";

useGateway(new Gateway(new URL(/* @vite-ignore */ "./", import.meta.url)));
if (!customElements.get("whep-player")) customElements.define("whep-player", WhepPlayer);
if (!customElements.get("whip-publisher")) customElements.define("whip-publisher", WhipPublisher);
