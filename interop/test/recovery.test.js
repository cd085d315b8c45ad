// Connection state recovery with the official client: the TCP connection is cut, the client knows of nothing.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { Proxy } from "../lib/proxy.js";
import { Server, missingServer } from "../lib/server.js";
import { Clients, TRANSPORTS } from "../lib/transports.js";
import { PATIENCE, collect, once, within } from "../lib/wait.js";

const skip = missingServer("interop_server");

for (const [label, transport] of TRANSPORTS) {
  describe(`recovery, ${label}`, { skip }, () => {
    let server, proxy, direct, cuttable;
    before(async () => {
      server = await Server.start("interop_server", { env: { RECOVERY: "1" } });
    });
    after(() => server?.stop());
    beforeEach(async () => {
      proxy = await Proxy.start(server.port);
      direct = new Clients(server, transport);
      cuttable = new Clients(proxy, transport);
    });
    afterEach(() => {
      direct.close();
      cuttable.close();
      proxy.close();
    });

    const options = { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 100 };
    const ask = (socket, event, ...args) => socket.timeout(PATIENCE).emitWithAck(event, ...args);

    /** Cuts the connection of `socket` and waits until both sides know. */
    async function cut(socket, witness) {
      const left = once(witness, "left");
      const lost = once(socket, "disconnect");
      proxy.cut();
      await Promise.all([left, lost]);
    }

    test("what was sent meanwhile arrives once and in order", async () => {
      const witness = await direct.connect("/");
      const socket = await cuttable.connect("/", options);
      const news = collect(socket, "news");
      assert.equal(socket.recovered, false);
      await ask(socket, "join", "red");
      await ask(witness, "everyone", "before");
      await news.take(1);
      const { id } = socket;

      for (let round = 0; round < 3; round++) {
        const start = news.seen.length;
        await cut(socket, witness);
        await ask(witness, "everyone", "all");
        await ask(witness, "in-room", { room: "red", data: "red" });
        await ask(witness, "in-room", { room: "blue", data: "blue" });
        await ask(witness, "except", { room: "red", data: "not red" });
        await ask(witness, "photo", { room: "red", bytes: Buffer.from([1, 2, 3]) });
        for (let n = 0; n < 50; n++) await ask(witness, "to-room", { room: "red", data: n });
        const connected = once(socket, "connect");
        proxy.mend();
        await connected;
        assert.equal(socket.recovered, true);
        assert.equal(socket.id, id);
        await ask(witness, "in-room", { room: "red", data: "after" });
        const got = (await news.take(start + 54)).slice(start).map(([data]) => data);
        assert.deepEqual(Buffer.from(got[2].bytes), Buffer.from([1, 2, 3]));
        got[2] = "photo";
        assert.deepEqual(got, ["all", "red", "photo", ...Array(50).keys(), "after"]);
      }
      assert.deepEqual(await ask(socket, "join", "green"), ["green", "red"]);
      assert.equal(news.seen.length, 1 + 3 * 54);
    });

    test("a client that leaves by itself begins afresh", async () => {
      const witness = await direct.connect("/");
      const socket = await cuttable.connect("/", options);
      const news = collect(socket, "news");
      await ask(witness, "everyone", "before");
      await news.take(1);
      const { id } = socket;
      const left = once(witness, "left");
      socket.disconnect();
      await left;
      await ask(witness, "everyone", "missed");
      const connected = once(socket, "connect");
      socket.connect();
      await within(PATIENCE, "the client to come back", connected);
      assert.equal(socket.recovered, false);
      assert.notEqual(socket.id, id);
      await ask(witness, "everyone", "after");
      assert.deepEqual((await news.take(2)).map(([data]) => data), ["before", "after"]);
    });
  });
}
