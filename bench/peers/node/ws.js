// The ws peer: the bare `ws` server with `{event, data}` envelopes, as its own guide writes it; a binary message
// comes back as it is. DEFLATE=1 switches
// compression on, for messages from 1 KiB on as Gatewire has it.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { address } from "./address.js";

const http = createServer();
const wss = new WebSocketServer({ server: http, perMessageDeflate: process.env.DEFLATE === "1" && { threshold: 1024 } });

wss.on("connection", (socket) => {
  socket.on("message", (raw, isBinary) => {
    if (isBinary) {
      socket.send(raw);
      return;
    }
    const { event, data } = JSON.parse(raw);
    if (event === "ping") {
      socket.send(JSON.stringify({ event: "ping", data: `pong: ${data}` }));
    } else if (event === "ping-emit") {
      socket.send(JSON.stringify({ event: "pong", data: `pong: ${data}` }));
    } else if (event === "broadcast") {
      const text = JSON.stringify({ event: "message", data });
      for (const client of wss.clients) client.send(text);
    }
  });
});

const { host, port } = address();
http.listen(port, host, () => {
  console.log(`listening on http://${host}:${http.address().port}`);
});
