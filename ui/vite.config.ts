import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

/** The base is relative, so that the page also works behind a path of a reverse proxy. */
export default defineConfig({
  base: './',
  plugins: [svelte()],
  build: {
    outDir: '../dist/ui',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: { '/api': { target: 'http://127.0.0.1:7395', ws: true }, '/health': 'http://127.0.0.1:7395' },
  },
});
