//! The showcase: a chat with rooms, typing indicator, online list and a live plot of the round-trip time, over Socket.IO
//! and over the browser's own WebSocket, in the same rooms. It is a model of how a Gatewire application is laid out: a thin
//! gateway (`gateway.rs`) over a service that knows no sockets (`service.rs`), typed messages (`dto.rs`), and pages beside
//! it (`pages.rs`, a folder each). It keeps nothing on disk.

use std::env;

use gatewire::prelude::*;

mod dto;
mod gateway;
mod pages;
mod service;

use gateway::ChatGateway;
use service::ChatService;

#[module(providers = [ChatService, ChatGateway])]
struct ChatModule;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let port: u16 = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let mut app = App::create::<ChatModule>().await?.merge(pages::router());
    app.use_websocket_adapters((SocketIoAdapter::new(), WsAdapter::at("/ws")));
    let app = app.bind((host, port)).await?;
    let address = app.local_addr();
    println!("listening on http://{address}");
    println!(
        "open http://localhost:{} in two windows; Ctrl-C ends it",
        address.port()
    );
    app.serve_with_shutdown(async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("Ctrl-C cannot be waited for: {error}");
            std::future::pending::<()>().await;
        }
    })
    .await;
    Ok(())
}
