// The NestJS peer on its ws adapter: bare WebSocket with `{event, data}` envelopes. The decorators are applied
// as the TypeScript compiler would emit them, so that no build step is needed.
import "reflect-metadata";
import { __decorate, __metadata, __param } from "tslib";
import { MessageBody, SubscribeMessage, WebSocketGateway, WebSocketServer } from "@nestjs/websockets";
import { WsAdapter } from "@nestjs/platform-ws";
import { serve } from "./nest.js";

let EventsGateway = class {
  server;

  // A plain return value would leave as bare JSON on this adapter; the envelope has to be returned.
  handlePing(data) {
    return { event: "ping", data: `pong: ${data}` };
  }

  handlePingEmit(data) {
    return { event: "pong", data: `pong: ${data}` };
  }

  handleBroadcast(message) {
    const text = JSON.stringify({ event: "message", data: message });
    for (const client of this.server.clients) client.send(text);
  }
};
Object.defineProperty(EventsGateway, "name", { value: "EventsGateway" });

__decorate([WebSocketServer()], EventsGateway.prototype, "server", undefined);
for (const [event, method] of [
  ["ping", "handlePing"],
  ["ping-emit", "handlePingEmit"],
  ["broadcast", "handleBroadcast"],
]) {
  __decorate(
    [
      SubscribeMessage(event),
      __param(0, MessageBody()),
      __metadata("design:type", Function),
      __metadata("design:paramtypes", [String]),
    ],
    EventsGateway.prototype,
    method,
    null,
  );
}
EventsGateway = __decorate([WebSocketGateway()], EventsGateway);

await serve(EventsGateway, (app) => new WsAdapter(app));
