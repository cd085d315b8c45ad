// The server with the Admin UI, on the npm packages; examples/admin_ui.rs is its twin.

import { createServer } from "node:http";
import { instrument } from "@socket.io/admin-ui";
import { Server } from "socket.io";
import { listen } from "./listen.js";

const http = createServer((_, response) => response.writeHead(404).end());
const io = new Server(http, { cors: { origin: ["https://admin.socket.io"], credentials: true } });
const password = "$2b$10$heqvAkYMez.Va6Et2uXInOnkCT6/uQj1brkrbyG3LpopDklcq7ZOS";
instrument(io, {
  auth: process.env.ADMIN_AUTH === "none" ? false : { type: "basic", username: "admin", password },
  mode: process.env.ADMIN_MODE === "production" ? "production" : "development",
  readonly: process.env.ADMIN_READONLY === "1",
  serverId: "example",
});
for (const name of ["/", "/chat"]) {
  io.of(name).on("connection", (socket) => {
    socket.on("rename", (name) => (socket.data.name = name));
    socket.on("join", (room, ack) => {
      socket.join(room);
      ack?.([...socket.rooms]);
    });
    socket.on("leave", (room) => socket.leave(room));
    socket.on("echo", (...args) => socket.emit("echo", ...args));
  });
}
listen(http);
