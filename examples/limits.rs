//! What one address, and what one user, may have and do. The user is whom the client says it is, `auth: {name}`, which a
//! real application would not believe. Try it: `curl -i 'http://localhost:3000/socket.io/?EIO=4&transport=polling'` ten
//! times in a row is answered with 429 at the end. Reads `PORT` (3000) and `HOST` (127.0.0.1); `TRUST=loopback` believes
//! the proxies of these networks (separated by commas), `PROXY_PROTOCOL=1` wants their connections to begin with the PROXY
//! protocol, `EXCESS=drop` or `close` says what is done about messages that come too fast.

use std::env;
use std::time::Duration;

use gatewire::prelude::*;
use gatewire::{ClientLimits, Excess, Networks, Rate, TrustedProxies};
use serde::Deserialize;

#[derive(Deserialize)]
struct Auth {
    name: Option<String>,
}

struct User {
    name: String,
}

#[injectable]
struct UserGuard;

impl Guard for UserGuard {
    async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
        if context.is_connection()
            && let Some(name) = context.data::<Auth>()?.name
        {
            context.client().set(User { name });
        }
        Ok(true)
    }
}

/// Two clients of each user at a time, and ten messages a second over both.
#[websocket_gateway(cors(origin = "*"))]
#[use_guards(
    UserGuard,
    ConnectionLimit::per_user(2, |user: &User| user.name.clone()),
    Throttle::per_user(10, Duration::from_secs(1), |user: &User| user.name.clone()),
)]
struct ChatGateway {
    #[websocket_server]
    server: Server,
}

#[subscriptions]
impl ChatGateway {
    #[subscribe_message("say")]
    fn say(&self, MessageBody(words): MessageBody<String>) {
        self.server.emit("said", &words);
    }

    /// One megabyte in a minute, in as many messages as the client likes.
    #[subscribe_message("upload")]
    #[use_guards(Throttle::per_client(1_000_000, Duration::from_secs(60)).in_bytes().or_disconnect())]
    fn upload(&self, MessageBody(text): MessageBody<String>) -> usize {
        text.len()
    }

    /// Whom the server sees.
    #[subscribe_message("whoami")]
    fn whoami(&self, client: Socket) -> (String, bool) {
        let handshake = client.handshake();
        (handshake.address(), handshake.is_secure())
    }
}

#[module(providers = [UserGuard, ChatGateway])]
struct AppModule;

/// Small, so that they are easily reached; the loopback has them, too.
fn limits() -> ClientLimits {
    ClientLimits {
        max_connections: 5,
        connections: Some(Rate::per_second(2).burst(8)),
        messages: Some(Rate::per_second(50).burst(100)),
        excess: match env::var("EXCESS").as_deref() {
            Ok("drop") => Excess::Drop,
            Ok("close") => Excess::Close,
            _ => Excess::Wait,
        },
        exempt: Networks::default(),
        ..ClientLimits::default()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut app = App::create::<AppModule>().await?;
    if let Ok(networks) = env::var("TRUST") {
        let mut proxies = TrustedProxies::new(networks.split(','))?;
        if env::var("PROXY_PROTOCOL").is_ok() {
            proxies = proxies.proxy_protocol();
        }
        app.trust_proxies(proxies);
    }
    app.limit_clients(limits());
    let port = env::var("PORT")
        .ok()
        .and_then(|port| port.parse().ok())
        .unwrap_or(3000);
    let host = env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let bound = app.bind((host, port)).await?;
    println!("listening on http://{}", bound.local_addr());
    bound.serve().await;
    Ok(())
}
