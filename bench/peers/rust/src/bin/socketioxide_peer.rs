//! The socketioxide peer, on axum, as its own examples are written.

use std::io;

use axum::Router;
use gatewire_bench_peers::serve;
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, SocketRef};

fn main() -> io::Result<()> {
    serve(|| {
        let (layer, io) = SocketIo::new_layer();
        io.ns("/", on_connect);
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
    socket.on("broadcast", async |io: SocketIo, Data(message): Data<String>| {
        io.emit("message", &message).await.ok();
    });
}
