//! The socketioxide peer, on axum, as its own examples are written. `NAMESPACES` is how many there are beside `/`.

use std::io;

use axum::Router;
use bytes::Bytes;
use gatewire_bench_peers::{number, serve};
use serde::Deserialize;
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, SocketRef};

/// Room for messages of 1 MiB.
const MAX_PAYLOAD: u64 = 4 << 20;

#[derive(Deserialize)]
struct RoomMessage {
    room: String,
    message: String,
}

fn main() -> io::Result<()> {
    let namespaces = number("NAMESPACES", 0)?;
    serve(move || {
        let (layer, io) = SocketIo::builder().max_payload(MAX_PAYLOAD).build_layer();
        io.ns("/", on_connect);
        for at in 0..namespaces {
            io.ns(format!("/n{at}"), on_connect);
        }
        Router::new().layer(layer)
    })
}

async fn on_connect(socket: SocketRef) {
    socket.on("ping", async |Data(data): Data<String>, ack: AckSender| {
        ack.send(&format!("pong: {data}")).ok();
    });
    socket.on(
        "ping-emit",
        async |socket: SocketRef, Data(data): Data<String>| {
            socket.emit("pong", &format!("pong: {data}")).ok();
        },
    );
    socket.on("binary", async |Data(data): Data<Bytes>, ack: AckSender| {
        ack.send(&data).ok();
    });
    socket.on("broadcast", async |io: SocketIo, Data(message): Data<String>| {
        io.emit("message", &message).await.ok();
    });
    socket.on(
        "join",
        async |socket: SocketRef, Data(rooms): Data<Vec<String>>| {
            socket.join(rooms);
        },
    );
    socket.on("room", async |io: SocketIo, Data(data): Data<RoomMessage>| {
        io.to(data.room).emit("message", &data.message).await.ok();
    });
}
