// The server without gateways, on the npm package socket.io; examples/low_level.rs is its twin.

import { createServer } from "node:http";
import { Server } from "socket.io";
import { listen } from "./listen.js";

const http = createServer((_, response) => response.writeHead(404).end());
const io = new Server(http, { cors: { origin: "*" }, cleanupEmptyChildNamespaces: true });

const refusal = (message, data) => Object.assign(new Error(message), data && { data });

io.use((socket, next) => {
  const { name } = socket.handshake.auth;
  if (typeof name !== "string") return next(refusal("say your name"));
  if (name === "" || name.length > 50) return next(refusal("that is no name", { max: 50 }));
  socket.join(name);
  socket.data.name = name;
  next();
});
io.on("connection", (socket) => {
  const { name } = socket.data;
  socket.broadcast.emit("came", name);
  socket.use(([event], next) => next(event === "shutdown" ? refusal("not you", { event }) : undefined));
  socket.on("error", () => {});
  socket.on("say", (words) => socket.broadcast.emit("said", name, words));
  socket.on("to", (room, words) => socket.to(room).emit("said", name, words));
  socket.on("join", (room, ack) => {
    socket.join(room);
    ack([...socket.rooms]);
  });
  socket.on("ask", async (question, ack) => ack(await socket.broadcast.timeout(1000).emitWithAck("question", question)));
  socket.once("hello", () => socket.emit("hello", "only the first time"));
  socket.on("disconnecting", () => socket.to([...socket.rooms]).emit("went", name));
});

const rooms = io.of(/^\/room-[^/]+$/);
rooms.use((socket, next) => next(/^\/room-\d+$/.test(socket.nsp.name) ? undefined : refusal("rooms have numbers")));
rooms.on("connection", (socket) => {
  const { nsp } = socket;
  nsp.emit("people", nsp.sockets.size);
  socket.onAny((event, ...args) => nsp.emit(event, ...args));
  socket.on("disconnect", () => nsp.emit("people", nsp.sockets.size));
});

listen(http);
