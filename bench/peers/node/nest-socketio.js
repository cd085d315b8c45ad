// The NestJS peer on its Socket.IO adapter. The decorators are applied as the TypeScript compiler would emit
// them, so that no build step is needed.
import "reflect-metadata";
import { __decorate, __metadata, __param } from "tslib";
import { MessageBody, SubscribeMessage, WebSocketGateway, WebSocketServer } from "@nestjs/websockets";
import { IoAdapter } from "@nestjs/platform-socket.io";
import { serve } from "./nest.js";

let EventsGateway = class {
  server;

  handlePing(data) {
    return `pong: ${data}`;
  }

  handlePingEmit(data) {
    return { event: "pong", data: `pong: ${data}` };
  }

  handleBroadcast(message) {
    this.server.emit("message", message);
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

await serve(EventsGateway, (app) => new IoAdapter(app));
