// A TCP connection that can be cut: the client and the server are told nothing, as with a cable that is pulled.

import { once } from "node:events";
import net from "node:net";

/** Hands bytes on to the server at the port `target`, and can be cut. */
export class Proxy {
  #sockets = new Set();
  #isCut = false;

  static async start(port) {
    const proxy = new Proxy();
    proxy.target = port;
    proxy.listener = net.createServer((near) => {
      if (proxy.#isCut) return near.destroy();
      const far = net.connect(proxy.target, "127.0.0.1");
      for (const [from, to] of [[near, far], [far, near]]) {
        proxy.#sockets.add(from);
        from.on("error", () => {});
        from.on("close", () => {
          proxy.#sockets.delete(from);
          to.destroy();
        });
        from.pipe(to);
      }
    });
    proxy.listener.listen(0, "127.0.0.1");
    await once(proxy.listener, "listening");
    proxy.url = `http://127.0.0.1:${proxy.listener.address().port}`;
    return proxy;
  }

  cut() {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend() {
    this.#isCut = false;
  }

  close() {
    this.cut();
    this.listener.close();
  }
}
