// The server of the Socket.IO protocol suite, on the npm package socket.io.

import { createServer } from "node:http";
import { Server } from "socket.io";
import { listen } from "./listen.js";

const http = createServer((_, response) => response.writeHead(404).end());
const io = new Server(http, {
  pingInterval: 300,
  pingTimeout: 200,
  connectTimeout: 1000,
  maxHttpBufferSize: 1e6,
  cors: { origin: "*" },
});
io.on("connection", (socket) => {
  socket.emit("auth", socket.handshake.auth);
  socket.on("message", (...args) => socket.emit("message-back", ...args));
  socket.on("message-with-ack", (...args) => args.pop()(...args));
});
io.of("/custom").on("connection", (socket) => socket.emit("auth", socket.handshake.auth));
listen(http);
