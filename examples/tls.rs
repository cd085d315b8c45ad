//! Gateways behind TLS, for clients of Socket.IO and plain WebSockets alike: `https://` and `wss://`, over HTTP/1.1 or
//! HTTP/2. `CERT` and `KEY` name PEM files, which are reloaded when they change; without them a certificate for
//! `localhost` is made up, and written to a file for clients that are to trust it. `PORT` is 3000 and `HOST` 127.0.0.1
//! unless they say otherwise.

use std::env;
use std::error::Error;
use std::fs;
use std::time::Duration;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use gatewire::adapter::Hooks;
use gatewire::prelude::*;

#[websocket_gateway]
struct EchoGateway {
    #[websocket_server]
    server: Server,
}

#[subscriptions]
impl EchoGateway {
    #[subscribe_message("ping")]
    fn ping(&self, MessageBody(data): MessageBody<String>) -> String {
        format!("pong: {data}")
    }

    #[subscribe_message("broadcast")]
    fn broadcast(&self, MessageBody(message): MessageBody<String>) {
        self.server.emit("message", &message);
    }

    #[subscribe_message("secure")]
    fn secure(&self, handshake: Handshake) -> bool {
        handshake.is_secure()
    }
}

/// The broadcasts for those who only listen: over HTTP/2, as many streams as wanted on one connection.
#[controller("/feed")]
struct FeedController {
    #[websocket_server]
    server: Server,
}

#[routes]
impl FeedController {
    #[sse]
    fn feed(&self) -> Feed {
        Feed::of(&self.server)
    }
}

#[module(controllers = [FeedController], providers = [EchoGateway])]
struct AppModule;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let host = env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let port: u16 = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let tls = match (env::var_os("CERT"), env::var_os("KEY")) {
        (Some(certificate), Some(key)) => Tls::from_pem_files(certificate, key)?,
        _ => self_signed()?,
    };

    // How each session comes, for the log: `HTTP/2.0` if it shares the connection of a page.
    let hooks = Hooks::new().allow_request(|request| {
        tracing::info!(target: "gatewire", context = "Handshake", "{} by {:?}", request.uri.path(), request.version);
        async { Ok(()) }
    });
    let mut app = App::create::<AppModule>().await?;
    app.use_tls(tls.reload_interval(Duration::from_secs(1)));
    app.use_websocket_adapters((
        SocketIoAdapter::new().hooks(hooks.clone()),
        WsAdapter::at("/ws").hooks(hooks),
    ));
    let page = Router::new().route("/", get(|| async { Html(include_str!("tls.html")) }));
    let app = app.merge(page).bind((host, port)).await?;
    println!("listening on https://{}", app.local_addr());
    app.serve().await;
    Ok(())
}

/// A certificate for this machine that nobody has signed.
fn self_signed() -> Result<Tls, Box<dyn Error>> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let issued = rcgen::generate_simple_self_signed(names)?;
    let certificate = issued.cert.pem();
    let path = env::temp_dir().join(format!("gatewire-tls-{}.pem", std::process::id()));
    fs::write(&path, &certificate)?;
    println!("the certificate is in {}", path.display());
    Ok(Tls::from_pem(certificate, issued.signing_key.serialize_pem())?)
}
