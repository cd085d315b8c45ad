// The support server of the suite of socket.io-client, on the npm package socket.io.

import { createServer } from "node:http";
import { Server } from "socket.io";
import { listen } from "./listen.js";

const http = createServer((_, response) => response.writeHead(404).end());
const io = new Server(http, {
  pingInterval: 2000,
  connectionStateRecovery: {},
  allowRequest: (_, decide) => setTimeout(() => decide(null, true), 10),
});

const bytes = Buffer.from("asdfasdf");
const isMixed = ({ hello, message, goodbye }) => hello === "lol" && Buffer.isBuffer(message) && goodbye === "gotcha";

/** Events that must come in this order; the last one is answered with the event `reply`. */
function sequence(socket, steps, reply) {
  let come = 0;
  steps.forEach(([name, isRight], at) => {
    socket.on(name, (data) => {
      if (come < at || !isRight(data)) return;
      come = Math.max(come, at + 1);
      if (at + 1 === steps.length) socket.emit(reply);
    });
  });
}

io.use((socket, next) => {
  next(socket.handshake.query.fail ? new Error("Auth failed (main namespace)") : undefined);
});
io.of("/no").use((_, next) => next(new Error("Auth failed (custom namespace)")));
io.of("/foo").on("connection", (socket) => socket.on("getId", (ack) => ack(socket.id)));
io.of("/abc").on("connection", (socket) => socket.emit("handshake", socket.handshake));
for (const name of ["/timeout_socket", "/valid", "/asd"]) io.of(name);

io.on("connection", (socket) => {
  socket.on("hi", () => socket.emit("hi"));
  socket.on("false", () => socket.emit("false", false));
  socket.on("getId", (ack) => ack(socket.id));
  socket.on("getHandshake", (ack) => ack(socket.handshake));
  socket.on("echo", (value, ack) => ack(value));
  socket.on("ack", () => socket.emit("ack", (a, b) => a === 5 && b.test && socket.emit("got it")));

  socket.on("getAckDate", (_, ack) => ack(new Date()));
  socket.on("getDate", () => socket.emit("takeDate", new Date()));
  socket.on("getDateObj", () => socket.emit("takeDateObj", { date: new Date() }));
  socket.on("getUtf8", () => {
    const texts = ["てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"];
    for (const text of texts) socket.emit("takeUtf8", text);
  });

  socket.on("doge", () => socket.emit("doge", bytes));
  socket.on("getbin", () => socket.emit("takebin", bytes));
  socket.on("buffa", (data) => Buffer.isBuffer(data) && socket.emit("buffack"));
  socket.on("blob", (data) => Buffer.isBuffer(data) && socket.emit("back"));
  socket.on("jsonbuff", (data) => isMixed(data) && socket.emit("jsonbuff-ack"));
  socket.on("jsonblob", (data) => isMixed(data) && socket.emit("jsonblob-ack"));
  sequence(socket, [["abuff1", Buffer.isBuffer], ["abuff2", () => true]], "abuff2-ack");
  sequence(
    socket,
    [["blob1", Buffer.isBuffer], ["blob2", (data) => data === "second"], ["blob3", Buffer.isBuffer]],
    "blob3-ack",
  );
});

listen(http);
