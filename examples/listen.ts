import { fileURLToPath } from 'node:url';
import type { Express } from 'express';

/**
 * Listens when the file at `url` is the one that was run, and does nothing when a test imports it. What must be closed
 * at the end goes into `close`.
 */
export function listenWhenRun(url: string, app: Express, close?: () => Promise<unknown>): void {
  if (process.argv[1] !== fileURLToPath(url)) return;
  const port = Number(process.env.PORT ?? 3000);
  const server = app.listen(port, '127.0.0.1', error => {
    if (error) throw error;
    console.log(`http://localhost:${port}/mcp`);
  });
  const stop = () => {
    server.close().closeAllConnections();
    void close?.();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
}
