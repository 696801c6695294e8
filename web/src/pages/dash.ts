/** /tools/dash.html: one recording that fills the window. */

import { DashPlayer } from "../elements/dash-player";
import { dashParameters } from "../lib/parameters";
import { objectPath } from "../lib/recordings";
import { bareToken, storedToken } from "../lib/token";
import { SignIn } from "./sign-in";

customElements.define("dash-player", DashPlayer);
customElements.define("sign-in", SignIn);

const { mpd, token, autoplay, muted } = dashParameters(location.search);
const base = new URL("../", location.href);
const manifest = mpd && new URL(/^(https?:\/)?\//.test(mpd) ? mpd : objectPath(mpd), base);
const player = document.createElement("dash-player") as DashPlayer;
// The token that was signed in with is for this gateway, whatever a link says.
const own = manifest !== "" && manifest.origin === base.origin;
player.token = bareToken(token) || (own ? storedToken() : "");
player.src = manifest && manifest.href;
player.autoplay = autoplay || !manifest;
player.muted = muted;
const signIn = document.createElement("sign-in") as SignIn;
document.body.append(player, signIn);
player.addEventListener("error", ({ detail }: CustomEventInit<{ status: number; message: string }>) => {
  if (detail?.status !== 401 || !own) return;
  signIn.reason = detail.message;
  void signIn.open();
});
signIn.addEventListener("signed", ({ detail }: CustomEventInit<string>) => {
  player.token = detail ?? "";
  void player.play();
});
// The player is all there is on this page: its keys need no click before.
addEventListener("keydown", (event) => {
  if (event.target !== document.body) return;
  if (!player.dispatchEvent(new KeyboardEvent("keydown", event))) event.preventDefault();
});
