// What both NestJS peers share: one module with one gateway, and the start.
import { Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { __decorate } from "tslib";
import { address } from "./address.js";

export async function serve(gateway, adapter) {
  let AppModule = class {};
  AppModule = __decorate([Module({ providers: [gateway] })], AppModule);

  const app = await NestFactory.create(AppModule, { logger: ["error", "warn"] });
  app.useWebSocketAdapter(adapter(app));
  const { host, port } = address();
  await app.listen(port, host);
  console.log(`listening on ${await app.getUrl()}`);
}
