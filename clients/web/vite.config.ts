import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// biome-ignore lint/style/noDefaultExport: that is where Vite looks
export default defineConfig({
  root: import.meta.dirname,
  // Below whatever path a proxy serves it.
  base: "./",
  plugins: [react()],
  build: {
    outDir: fileURLToPath(new URL("../../dist/web", import.meta.url)),
    emptyOutDir: true,
    target: "es2024",
    // The Content-Security-Policy lets styles and scripts come from files only.
    assetsInlineLimit: 0,
    // React and the contract with its descriptors; 160 kB on the wire.
    chunkSizeWarningLimit: 600,
    modulePreload: { polyfill: false },
  },
  server: {
    // `vite clients/web` beside `npm start`: the page reloads as you edit it.
    proxy: { "^/parlance\\.chat\\.v1\\.": "http://127.0.0.1:8080" },
  },
});
