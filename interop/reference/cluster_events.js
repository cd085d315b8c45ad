// What a node of a cluster does for its clients, whatever its adapter: the same as examples/cluster_peer.rs.

function aimed(nsp, { to = [], except = [], volatile = false, timeout = 5_000 }) {
  let broadcast = nsp.timeout(timeout);
  if (to.length > 0) broadcast = broadcast.to(to);
  if (except.length > 0) broadcast = broadcast.except(except);
  return volatile ? broadcast.volatile : broadcast;
}

/** Serves the clients of `io`; `name` is what the node answers to the others. */
export function serve(io, name) {
  for (const nsp of [io.of("/"), io.of("/other")]) {
    nsp.on("hear", (...args) => nsp.local.emit("heard", ...args));
    nsp.on("who", (question, ack) => ack({ name, question }));
    nsp.on("connection", (socket) => {
      socket.emit("welcome", name);
      socket.on("join", async (room, ack) => {
        await socket.join(room);
        ack([...socket.rooms]);
      });
      socket.on("data", (data, ack) => {
        socket.data = data;
        ack(true);
      });
      socket.on("emit", (aim, ...args) => {
        const ack = args.pop();
        // A timeout would make an event with acknowledgement of it.
        let broadcast = nsp.except(aim.except ?? []);
        if (aim.to?.length > 0) broadcast = broadcast.to(aim.to);
        if (aim.volatile) broadcast = broadcast.volatile;
        broadcast.emit(aim.event, ...args);
        ack(true);
      });
      socket.on("ask", (aim, question, ack) => {
        aimed(nsp, aim).emit(aim.event, question, (error, answers) => ack({ ...(error && { error: true }), answers }));
      });
      socket.on("fetch", async (aim, ack) => {
        const found = await aimed(nsp, aim).fetchSockets();
        ack(found.map(({ id, rooms, data, handshake }) => ({ id, rooms: [...rooms], data, address: handshake.address })));
      });
      socket.on("sockets-join", (aim, ack) => ack(aimed(nsp, aim).socketsJoin(aim.rooms) ?? true));
      socket.on("sockets-leave", (aim, ack) => ack(aimed(nsp, aim).socketsLeave(aim.rooms) ?? true));
      socket.on("disconnect-sockets", (aim, ack) => ack(aimed(nsp, aim).disconnectSockets(aim.close) ?? true));
      socket.on("tell-servers", (args, ack) => {
        nsp.serverSideEmit("hear", ...args);
        ack(true);
      });
      socket.on("ask-servers", (question, ack) => {
        nsp.serverSideEmit("who", question, (error, answers) => ack({ ...(error && { error: true }), answers }));
      });
    });
  }
}
