// The support server of the suite of engine.io-client, on the npm package engine.io.

import { createServer } from "node:http";
import { Server } from "engine.io";
import { listen } from "./listen.js";

const http = createServer((_, response) => response.writeHead(404).end());
const engine = new Server({
  pingInterval: 500,
  maxHttpBufferSize: 100,
  cors: { origin: true, credentials: true },
  allowRequest: (request, decide) => decide(null, !new URL(request.url, "http://host").searchParams.has("deny")),
});
engine.attach(http, { path: "/engine.io/" });
engine.on("initial_headers", (headers) => {
  headers["set-cookie"] = [
    "1=1; Max-Age=86400",
    "2=2; Path=/; HttpOnly; Secure; SameSite=Strict",
    "3=3; Max-Age=0",
    `4=4; Expires=${new Date().toUTCString()}`,
  ];
});
engine.on("connection", (socket) => {
  socket.send("hi");
  socket.on("message", (message) => {
    if (message === "give binary") socket.send(Buffer.of(0, 1, 2, 3, 4));
    else if (message === "give utf8") socket.send("пойду спать всем спокойной ночи");
    else if (message === "sendHeaders") socket.send(JSON.stringify(socket.transport.dataReq?.headers ?? {}));
    else socket.send(message);
  });
});
listen(http);
