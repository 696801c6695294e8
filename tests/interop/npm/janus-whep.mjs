// janus-whep-server as its README starts it: `node janus-whep.mjs JANUS_URL PORT MOUNTPOINT`. Prints a line when it listens.
import { JanusWhepServer } from "janus-whep-server";

const [address, port, mountpoint] = process.argv.slice(2);
const server = new JanusWhepServer({ janus: { address }, rest: { port: Number(port), basePath: "/whep" } });
await server.start();
server.createEndpoint({ id: "cam", mountpoint: Number(mountpoint) });
console.log("listening");
