/** /tools/player.html: one player that fills the window. */

import { useGateway } from "../elements/base";
import { WhepPlayer } from "../elements/whep-player";
import { Gateway } from "../lib/gateway";
import { playerParameters } from "../lib/parameters";

useGateway(new Gateway(new URL("../", location.href)));
customElements.define("whep-player", WhepPlayer);

const { id, token, autoplay, controls, muted, lowLatency, reconnect } = playerParameters(location.search);
const player = document.createElement("whep-player");
const flags = { autoplay: autoplay || !id, controls, muted, lowlatency: lowLatency };
for (const [name, on] of Object.entries(flags)) player.toggleAttribute(name, on);
if (id) player.setAttribute("stream", id);
if (token) player.setAttribute("token", token);
if (reconnect !== null) player.setAttribute("reconnect", String(reconnect));
document.title = id ? `${id} – live777py` : document.title;
document.body.append(player);
// The player is all there is on this page: its keys need no click before.
addEventListener("keydown", (event) => {
  if (event.target === document.body) player.dispatchEvent(new KeyboardEvent("keydown", event));
});
