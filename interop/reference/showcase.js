// The chat of the showcase, on the npm package socket.io, serving the same page.

import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { Server } from "socket.io";
import { listen } from "./listen.js";

const page = new URL("../../examples/showcase/page/", import.meta.url);
const client = new URL("../node_modules/socket.io-client/dist/socket.io.min.js", import.meta.url);
const types = { html: "text/html", css: "text/css", js: "text/javascript" };

const http = createServer((request, response) => {
  const path = new URL(request.url, "http://localhost").pathname;
  const file = path === "/" ? "index.html" : path.slice(1);
  try {
    const body = readFileSync(path === "/client/socket.io.js" ? client : new URL(file, page));
    response.writeHead(200, { "content-type": `${types[file.split(".").at(-1)]}; charset=utf-8` }).end(body);
  } catch {
    response.writeHead(404).end();
  }
});

const io = new Server(http);
const people = new Map();
const histories = new Map([["lobby", []], ["gateways", []], ["coffee", []]]);
let nextId = 1;

const membersOf = (room) => [...people.values()].filter((one) => one.room === room).map(({ id, name }) => ({ id, name }));
const rooms = () => [...histories.keys()].map((name) => ({ name, members: membersOf(name).length }));
const permanent = [...histories.keys()];
const tell = (room) => {
  if (room && !permanent.includes(room) && membersOf(room).length === 0) histories.delete(room);
  if (room) io.to(room).emit("members", { room, members: membersOf(room) });
  io.emit("rooms", rooms());
};
const error = (message) => ({ status: "error", message });

io.on("connection", (socket) => {
  socket.on("join", ({ room, name }, ack) => {
    if (!/^[a-z0-9][a-z0-9-]{0,23}$/.test(room)) return ack(error("not a room name"));
    if (!name.trim() || name.length > 24) return ack(error("not a name"));
    const left = people.get(socket.id)?.room;
    people.set(socket.id, { id: socket.id, name, room });
    if (!histories.has(room)) histories.set(room, []);
    if (left && left !== room) {
      socket.leave(left);
      tell(left);
    }
    socket.join(room);
    ack({ room, name, members: membersOf(room), rooms: rooms(), history: histories.get(room) });
    tell(room);
  });
  socket.on("message", ({ text }, ack) => {
    const person = people.get(socket.id);
    if (!person) return ack(error("join a room first"));
    if (!text.trim() || text.length > 500) return ack(error("a message has 1 to 500 characters"));
    const message = { id: nextId++, room: person.room, from: person.id, name: person.name, text, at: Date.now() };
    histories.get(person.room).push(message);
    io.to(person.room).emit("message", message);
    ack({ id: message.id });
  });
  socket.on("typing", ({ typing }) => {
    const person = people.get(socket.id);
    if (person) socket.to(person.room).emit("typing", { id: person.id, name: person.name, typing });
  });
  socket.on("rtt", (sent, ack) => ack(sent));
  socket.on("disconnect", () => {
    const room = people.get(socket.id)?.room;
    people.delete(socket.id);
    tell(room);
  });
});

listen(http);
