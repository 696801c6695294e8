/** /tools/player.html: one player that fills the window. */

import { useGateway } from "../elements/base";
import { WhepPlayer } from "../elements/whep-player";
import { Gateway } from "../lib/gateway";
import { playerParameters } from "../lib/parameters";
import { bareToken, storedToken } from "../lib/token";
import { SignIn } from "./sign-in";

const gateway = new Gateway(new URL("../", location.href));
useGateway(gateway);
customElements.define("whep-player", WhepPlayer);
customElements.define("sign-in", SignIn);

const { id, token, autoplay, controls, muted, lowLatency, reconnect } = playerParameters(location.search);
gateway.token = bareToken(token) || storedToken();
const player = document.createElement("whep-player");
const flags = { autoplay: autoplay || !id, controls, muted, lowlatency: lowLatency };
for (const [name, on] of Object.entries(flags)) player.toggleAttribute(name, on);
if (id) player.setAttribute("stream", id);
if (reconnect !== null) player.setAttribute("reconnect", String(reconnect));
document.title = id ? `${id} – live777py` : document.title;
const signIn = document.createElement("sign-in") as SignIn;
document.body.append(player, signIn);
player.addEventListener("error", ({ detail }: CustomEventInit<{ status: number; message: string }>) => {
  if (detail?.status !== 401) return;
  signIn.reason = detail.message;
  void signIn.open();
});
signIn.addEventListener("signed", ({ detail }: CustomEventInit<string>) => {
  gateway.token = detail ?? "";
  (player as WhepPlayer).play();
});
// The player is all there is on this page: its keys need no click before.
addEventListener("keydown", (event) => {
  if (event.target === document.body) player.dispatchEvent(new KeyboardEvent("keydown", event));
});
