//! The showcase: what real-time is used for, a page each. A chat over Socket.IO and over the browser's own WebSocket, a
//! shared board, a shared text, a dashboard over Server-Sent Events, and a comparison of the ways to bring news to a
//! browser. It is a model of how a Gatewire application is laid out: a module for each part, with thin gateways and
//! controllers over services that know no sockets, and pages beside them (`pages.rs`, a folder each). It keeps nothing on
//! disk.

use std::env;

use gatewire::prelude::*;

mod board;
mod chat;
mod clock;
mod compare;
mod dashboard;
mod noise;
mod pages;
mod people;
mod text;

use board::BoardModule;
use chat::ChatModule;
use compare::CompareModule;
use dashboard::DashboardModule;
use text::TextModule;

#[module(imports = [ChatModule, BoardModule, TextModule, DashboardModule, CompareModule])]
struct AppModule;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let port: u16 = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let mut app = App::create::<AppModule>().await?.merge(pages::router());
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
