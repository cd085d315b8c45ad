// One node of a cluster over Redis that does what its clients ask for; examples/cluster_peer.rs is its twin.

import { createServer } from "node:http";
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { createAdapter as createStreamsAdapter } from "@socket.io/redis-streams-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";
import { serve } from "./cluster_events.js";
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
  if (process.env.REDIS_MODE === "sharded") return createShardedAdapter(client, subscriber);
  const publishOnSpecificResponseChannel = process.env.SPECIFIC_RESPONSES === "1";
  return createAdapter(client, subscriber, { publishOnSpecificResponseChannel });
}

const http = createServer((_, response) => response.writeHead(404).end());
const io = new Server(http, {
  adapter: await adapter(),
  ...(process.env.RECOVERY && { connectionStateRecovery: {} }),
});

serve(io, name);
listen(http);
