import { fileURLToPath } from 'node:url'
import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

const backend = process.env.FLEXIROASTER_PUBLIC_URL ?? 'http://127.0.0.1:8000'

export default defineConfig({
  plugins: [react(), tailwindcss()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  server: {
    port: 3000,
    strictPort: true,
    proxy: {
      '/api': { target: backend },
      '/health': { target: backend },
      '/socket.io': { target: backend, ws: true },
    },
  },
  build: {
    target: 'es2023',
    // The size check follows the import graph from the page's entry.
    manifest: 'build-manifest.json',
    // Inlined fonts or images would need `data:` in the content security policy.
    assetsInlineLimit: 0,
  },
  test: {
    environment: 'jsdom',
    environmentOptions: { jsdom: { url: 'http://localhost:3000/' } },
    setupFiles: ['./src/test/setup.ts'],
    restoreMocks: true,
    testTimeout: 20_000,
    css: false,
  },
})
