import { defineConfig } from "vitest/config";
import { loadEnv } from "vite";

/**
 * `vite build` writes the pages with hashed assets; `vite build --mode embed` then adds embed.js under its stable name,
 * self-contained, so that a cached copy never asks for a chunk of another version. `LIVE777_URL` names the gateway that
 * `vite` (the development server) passes requests to.
 */
export default defineConfig(({ mode }) => {
  const embed = mode === "embed";
  const { LIVE777_URL = "http://127.0.0.1:7777" } = loadEnv(mode, ".", "LIVE777_");
  return {
    base: "./",
    server: { proxy: { "^/(api|whip|whep|session|twirp)/": LIVE777_URL } },
    build: {
      outDir: "../live777py/webui",
      emptyOutDir: !embed,
      copyPublicDir: !embed,
      target: "es2022",
      modulePreload: { polyfill: false },
      assetsInlineLimit: 0,
      // dash.js, which only the pages with recordings load.
      chunkSizeWarningLimit: 900,
      rolldownOptions: embed
        ? { input: "src/embed.ts", output: { entryFileNames: "embed.js" } }
        : {
            input: [
              "index.html",
              "recordings.html",
              "rooms.html",
              "tools/player.html",
              "tools/debugger.html",
              "tools/dash.html",
            ],
          },
    },
    test: { include: ["tests/*.test.ts"] },
  };
});
