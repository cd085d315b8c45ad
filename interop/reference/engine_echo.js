// The echo server of the Engine.IO protocol suite, on the npm package engine.io.

import { createServer } from "node:http";
import { Server } from "engine.io";
import { listen } from "./listen.js";

const http = createServer((_, response) => response.writeHead(404).end());
const engine = new Server({
  pingInterval: 300,
  pingTimeout: 200,
  maxHttpBufferSize: 1e6,
  cors: { origin: "*" },
  allowEIO3: process.env.EIO3 === "1",
});
engine.attach(http, { path: "/engine.io/" });
engine.on("connection", (socket) => socket.on("data", (data) => socket.send(data)));
listen(http);
