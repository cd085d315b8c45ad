// One node of a cluster over Redis that does what its clients ask for; examples/cluster_peer.rs is its twin.

import { createServer } from "node:http";
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { createAdapter as createStreamsAdapter } from "@socket.io/redis-streams-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";
import { listen } from "./listen.js";

const name = process.env.NAME ?? "node";
const client = createClient({ url: process.env.REDIS_URL });
client.on("error", () => {});
await client.connect();

async function adapter() {
  if (process.env.REDIS_MODE === "streams") return createStreamsAdapter(client);
  const subscriber = client.duplicate();
  subscriber.on("error", () => {});
  await subscriber.connect();
  const create = process.env.REDIS_MODE === "sharded" ? createShardedAdapter : createAdapter;
  return create(client, subscriber);
}

const http = createServer((_, response) => response.writeHead(404).end());
const io = new Server(http, {
  adapter: await adapter(),
  ...(process.env.RECOVERY && { connectionStateRecovery: {} }),
});

function aimed(nsp, { to = [], except = [], volatile = false, timeout = 5_000 }) {
  let broadcast = nsp.timeout(timeout);
  if (to.length > 0) broadcast = broadcast.to(to);
  if (except.length > 0) broadcast = broadcast.except(except);
  return volatile ? broadcast.volatile : broadcast;
}

for (const nsp of [io.of("/"), io.of("/other")]) {
  nsp.on("hear", (...args) => nsp.local.emit("heard", ...args));
  nsp.on("who", (question, ack) => ack({ name, question }));
  nsp.on("connection", (socket) => {
    socket.emit("welcome", name);
    socket.on("join", async (room, ack) => {
      await socket.join(room);
      ack([...socket.rooms]);
    });
    socket.on("data", (data, ack) => {
      socket.data = data;
      ack(true);
    });
    socket.on("emit", (aim, ...args) => {
      const ack = args.pop();
      // A timeout would make an event with acknowledgement of it.
      let broadcast = nsp.except(aim.except ?? []);
      if (aim.to?.length > 0) broadcast = broadcast.to(aim.to);
      if (aim.volatile) broadcast = broadcast.volatile;
      broadcast.emit(aim.event, ...args);
      ack(true);
    });
    socket.on("ask", (aim, question, ack) => {
      aimed(nsp, aim).emit(aim.event, question, (error, answers) => ack({ ...(error && { error: true }), answers }));
    });
    socket.on("fetch", async (aim, ack) => {
      const found = await aimed(nsp, aim).fetchSockets();
      ack(found.map(({ id, rooms, data, handshake }) => ({ id, rooms: [...rooms], data, address: handshake.address })));
    });
    socket.on("sockets-join", (aim, ack) => ack(aimed(nsp, aim).socketsJoin(aim.rooms) ?? true));
    socket.on("sockets-leave", (aim, ack) => ack(aimed(nsp, aim).socketsLeave(aim.rooms) ?? true));
    socket.on("disconnect-sockets", (aim, ack) => ack(aimed(nsp, aim).disconnectSockets(aim.close) ?? true));
    socket.on("tell-servers", (args, ack) => {
      nsp.serverSideEmit("hear", ...args);
      ack(true);
    });
    socket.on("ask-servers", (question, ack) => {
      nsp.serverSideEmit("who", question, (error, answers) => ack({ ...(error && { error: true }), answers }));
    });
  });
}

listen(http);
