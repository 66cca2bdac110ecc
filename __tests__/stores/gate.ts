import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to a service that can be shut, like the service itself, or left open without anything coming through. */
export interface Gate {
  readonly port: number;
  /** Ends every connection and takes no new ones. */
  shut(): Promise<void>;
  /** Takes connections again, on the same port. */
  reopen(): Promise<void>;
  /** From now on nothing that is sent arrives. */
  hold(): void;
  /** Changes what is sent to the service. */
  rewrite(change: (sent: string) => string): void;
}

export async function gateTo(host: string, port: number): Promise<Gate> {
  const sockets = new Set<Socket>();
  let held = false;
  let change: ((sent: string) => string) | undefined;
  const server = createServer(client => {
    const service = connect(port, host);
    for (const socket of [client, service]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        service.destroy();
      });
    }
    client.on('data', chunk => {
      if (!held) service.write(change === undefined ? chunk : change(chunk.toString('latin1')), 'latin1');
    });
    service.pipe(client);
  });
  const listen = async (at: number) => {
    server.listen(at, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const own = await listen(0);
  return {
    port: own,
    async shut() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
    async reopen() {
      await listen(own);
    },
    hold() {
      held = true;
    },
    rewrite(given) {
      change = given;
    },
  };
}
