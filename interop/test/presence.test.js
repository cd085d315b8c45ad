// Who is in a room: by Socket.IO and plain WebSocket clients of one server, and over a cluster whose nodes come and go.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import WebSocket from "ws";
import { Redis, missingRedis } from "../lib/redis.js";
import { Server, missingServer, reference } from "../lib/server.js";
import { Clients } from "../lib/transports.js";
import { PATIENCE, collect, once } from "../lib/wait.js";

const skip = reference ? "Gatewire's own" : missingServer("presence");
const WEBSOCKET = { transports: ["websocket"] };
const ask = (socket, event, ...args) => socket.timeout(PATIENCE).emitWithAck(event, ...args);

describe("presence on one server", { skip }, () => {
  let server;
  before(async () => {
    server = await Server.start("presence", { env: { ADAPTER: "both" } });
  });
  after(() => server?.stop());

  test("whatever the clients speak", async () => {
    const clients = new Clients(server, WEBSOCKET);
    const ada = await clients.connect("/");
    assert.deepEqual(await ask(ada, "enter", "Ada"), ["Ada"]);
    const [came, went] = [collect(ada, "came"), collect(ada, "went")];
    const bob = new WebSocket(`${server.wsUrl}/ws`);
    await once(bob, "open");
    bob.send(JSON.stringify({ event: "enter", data: "Bob" }));
    await came.take(1);
    assert.deepEqual(await ask(ada, "who"), ["Ada", "Bob"]);
    bob.terminate();
    await went.take(1);
    assert.deepEqual(await ask(ada, "who"), ["Ada"]);
    assert.deepEqual([came.seen, went.seen], [[["Bob"]], [["Bob"]]]);
    clients.close();
  });
});

for (const mode of ["classic", "sharded", "streams"]) {
  describe(`presence in a cluster, ${mode}`, { skip: skip || missingRedis() }, () => {
    let redis, servers;
    before(async () => {
      redis = await Redis.start();
      const env = { REDIS_URL: redis.url, REDIS_MODE: mode };
      servers = [await Server.start("presence", { env }), await Server.start("presence", { env })];
    });
    after(async () => {
      await Promise.all((servers ?? []).map((server) => server.stop()));
      await redis?.stop();
    });

    test("joins, leaves, and the end of a node", async () => {
      const [here, there] = servers.map((server) => new Clients(server, WEBSOCKET));
      const ada = await here.connect("/");
      await ask(ada, "enter", "Ada");
      const [came, went] = [collect(ada, "came"), collect(ada, "went")];
      const bob = await there.connect("/");
      const carl = await there.connect("/");
      await ask(bob, "enter", "Bob");
      await ask(carl, "enter", "Carl");
      assert.deepEqual(await came.take(2), [["Bob"], ["Carl"]]);
      assert.deepEqual(await ask(carl, "who"), ["Ada", "Bob", "Carl"]);
      await ask(bob, "leave");
      assert.deepEqual(await went.take(1), [["Bob"]]);
      assert.deepEqual(await ask(ada, "who"), ["Ada", "Carl"]);

      // It cannot say that it goes: it is missed after 15 s.
      await servers[1].stop("SIGKILL");
      assert.deepEqual(await went.take(2, 30_000), [["Bob"], ["Carl"]]);
      assert.deepEqual(await ask(ada, "who"), ["Ada"]);

      const third = await Server.start("presence", { env: { REDIS_URL: redis.url, REDIS_MODE: mode } });
      const late = new Clients(third, WEBSOCKET);
      try {
        const dora = await late.connect("/");
        assert.deepEqual(await ask(dora, "enter", "Dora"), ["Ada", "Dora"]);
        assert.deepEqual((await came.take(3))[2], ["Dora"]);
      } finally {
        [here, there, late].forEach((clients) => clients.close());
        await third.stop();
      }
    });
  });
}
