// The Socket.IO peer: the `socket.io` server as its own guide writes it, with room for messages of 1 MiB. DEFLATE=1 switches compression on,
// with REDIS_URL it is a node of a cluster.
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";
import { address } from "./address.js";

const http = createServer();
const io = new Server(http, { perMessageDeflate: process.env.DEFLATE === "1", maxHttpBufferSize: 4 << 20 });

if (process.env.REDIS_URL) {
  const publisher = createClient({ url: process.env.REDIS_URL });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  io.adapter(createAdapter(publisher, subscriber));
}

io.on("connection", (socket) => {
  socket.on("ping", (data, ack) => {
    if (typeof ack === "function") ack(`pong: ${data}`);
  });
  socket.on("ping-emit", (data) => {
    socket.emit("pong", `pong: ${data}`);
  });
  socket.on("binary", (data, ack) => {
    if (typeof ack === "function") ack(data);
  });
  socket.on("broadcast", (message) => {
    io.emit("message", message);
  });
});

const { host, port } = address();
http.listen(port, host, () => {
  console.log(`listening on http://${host}:${http.address().port}`);
});
