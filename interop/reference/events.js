// The first gateway, on the npm package socket.io; examples/events.rs is its twin.

import { createServer } from "node:http";
import { Server } from "socket.io";
import { listen } from "./listen.js";

const http = createServer((_, response) => response.writeHead(404).end());
const io = new Server(http, { cors: { origin: "*" } });
io.on("connection", (socket) => {
  socket.on("ping", (data, ack) => (ack ? ack(`pong: ${data}`) : socket.emit("ping", `pong: ${data}`)));
  socket.on("broadcast", (message) => io.emit("message", message));
});
listen(http);
