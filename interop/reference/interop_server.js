// The server of the client suites, on the npm package socket.io; examples/interop_server.rs is its twin.

import { createServer } from "node:http";
import { Server } from "socket.io";
import msgpack from "socket.io-msgpack-parser";
import { listen } from "./listen.js";

const http = createServer((_, response) => response.writeHead(404).end());
const allowEIO3 = process.env.EIO3 === "1";
const perMessageDeflate = process.env.DEFLATE === "1";
const connectionStateRecovery = process.env.RECOVERY === "1" ? {} : undefined;
const io = new Server(http, {
  pingInterval: 1000,
  pingTimeout: 1000,
  cors: { origin: "*" },
  allowEIO3,
  connectionStateRecovery,
  perMessageDeflate,
  parser: process.env.PARSER === "msgpack" ? msgpack : undefined,
});

function rooms(socket) {
  return [...socket.rooms].filter((room) => room !== socket.id).sort();
}

io.on("connection", (socket) => {
  socket.on("whoami", (ack) => {
    const { auth, query } = socket.handshake;
    ack({ id: socket.id, auth, team: query.team ?? null, transport: socket.conn.transport.name });
  });

  socket.on("echo", (...args) => {
    const ack = typeof args.at(-1) === "function" ? args.pop() : undefined;
    if (ack) ack(...args);
    else socket.emit("echo", ...args);
  });
  socket.on("nothing", (ack) => ack());
  socket.on("reverse", (bytes, ack) => ack(Buffer.from(bytes).reverse()));
  socket.on("inspect", ({ name, data }, ack) => ack({ name, length: data.length, first: data.subarray(0, 2) }));

  socket.on("join", (room, ack) => {
    socket.join(room);
    ack(rooms(socket));
  });
  socket.on("leave", (room, ack) => {
    socket.leave(room);
    ack(rooms(socket));
  });
  socket.on("to-room", ({ room, data }, ack) => {
    socket.to(room).emit("news", data);
    ack();
  });
  socket.on("in-room", ({ room, data }, ack) => {
    io.in(room).emit("news", data);
    ack();
  });
  socket.on("photo", ({ room, bytes }, ack) => {
    io.in(room).emit("news", { bytes });
    ack();
  });
  socket.on("others", (data, ack) => {
    socket.broadcast.emit("news", data);
    ack();
  });
  socket.on("everyone", (data, ack) => {
    io.emit("news", data);
    ack();
  });
  socket.on("except", ({ room, data }, ack) => {
    io.except(room).emit("news", data);
    ack();
  });

  socket.on("ask-me", async ({ question, timeout }, ack) => {
    try {
      ack(await socket.timeout(timeout).emitWithAck("question", question));
    } catch {
      ack({ error: "timeout" });
    }
  });
  socket.on("ask-bytes", async (bytes, ack) => ack(await socket.emitWithAck("question", { bytes })));
  socket.on("ask-room", async ({ room, question, timeout }, ack) => {
    try {
      ack({ answers: await io.in(room).timeout(timeout).emitWithAck("question", question) });
    } catch (error) {
      ack({ answers: error.responses, error: "timeout" });
    }
  });

  socket.on("kick", ({ close }) => socket.disconnect(close));
  socket.on("disconnect", (reason) => io.emit("left", { id: socket.id, reason }));
});

io.of("/news").on("connection", (socket) => {
  socket.on("everyone", (data, ack) => {
    io.of("/news").emit("news", data);
    ack();
  });
});

io.of("/private").use((socket, next) => {
  if (socket.handshake.auth.token === "secret") return next();
  const error = new Error("not authorized");
  error.data = { message: error.message, content: "retry later" };
  next(error);
});
io.of("/private").on("connection", (socket) => socket.on("ping", (ack) => ack("pong")));

const children = io.of(/^\/room-[^/]+$/);
children.use((socket, next) => {
  if (socket.nsp.name !== "/room-13") return next();
  next(Object.assign(new Error("out of order"), { data: { until: "tomorrow" } }));
});
children.on("connection", (socket) => {
  socket.on("where", (ack) => ack(socket.nsp.name));
  socket.on("say", (...words) => socket.nsp.emit("said", ...words));
});

listen(http);
