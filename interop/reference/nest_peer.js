// A NestJS application in a cluster, with the RedisIoAdapter of its documentation. What it does for its clients is what
// cluster_peer.js does. The decorators are applied as the TypeScript compiler would emit them.

import "reflect-metadata";
import { Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { IoAdapter } from "@nestjs/platform-socket.io";
import { WebSocketGateway, WebSocketServer } from "@nestjs/websockets";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { serve } from "./cluster_events.js";

class RedisIoAdapter extends IoAdapter {
  adapterConstructor;

  async connectToRedis(url) {
    const pubClient = createClient({ url });
    const subClient = pubClient.duplicate();
    for (const client of [pubClient, subClient]) client.on("error", () => {});
    await Promise.all([pubClient.connect(), subClient.connect()]);
    this.adapterConstructor = createAdapter(pubClient, subClient);
  }

  createIOServer(port, options) {
    const server = super.createIOServer(port, options);
    server.adapter(this.adapterConstructor);
    return server;
  }
}

class EventsGateway {
  server;

  afterInit(server) {
    serve(server, process.env.NAME);
  }
}
WebSocketServer()(EventsGateway.prototype, "server");
WebSocketGateway({ cors: { origin: "*" } })(EventsGateway);

class AppModule {}
Module({ providers: [EventsGateway] })(AppModule);

const app = await NestFactory.create(AppModule, { logger: ["error", "warn"] });
const adapter = new RedisIoAdapter(app);
await adapter.connectToRedis(process.env.REDIS_URL);
app.useWebSocketAdapter(adapter);
await app.listen(Number(process.env.PORT ?? 0), "127.0.0.1");
console.log(`listening on http://127.0.0.1:${app.getHttpServer().address().port}`);
