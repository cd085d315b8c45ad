//! Who is in the lobby, on all nodes: clients enter with their name, ask who is there, and are told who comes and goes.
//! `REDIS_URL` and `REDIS_MODE` (classic, sharded or streams) name a cluster; without, it is one node. `PORT` (3000) and
//! `HOST` (127.0.0.1) choose the address, `ADAPTER` what its clients speak: `socketio`, `ws`, or `both` (the latter at
//! `/ws`).

use std::sync::OnceLock;

use gatewire::prelude::*;
use gatewire::{Presence, PresenceEvent};
use gatewire_redis::{RedisAdapter, RedisConfig};

/// Keeps the lobby watched.
#[websocket_gateway(cors(origin = "*"))]
pub struct LobbyGateway {
    #[inject(default)]
    lobby: OnceLock<Presence>,
}

#[subscriptions]
impl LobbyGateway {
    #[subscribe_message("enter")]
    async fn handle_enter(&self, client: Socket, MessageBody(name): MessageBody<String>) -> Vec<String> {
        // Before it enters: this is what the others hear.
        if client.set_data(&name).is_ok() {
            client.join("lobby");
        }
        self.names().await
    }

    #[subscribe_message("leave")]
    async fn handle_leave(&self, client: Socket) -> bool {
        client.leave("lobby");
        true
    }

    #[subscribe_message("who")]
    async fn handle_who(&self) -> Vec<String> {
        self.names().await
    }
}

impl LobbyGateway {
    async fn names(&self) -> Vec<String> {
        let Some(lobby) = self.lobby.get() else {
            return Vec::new();
        };
        let members = lobby.members().await;
        let mut names: Vec<String> = members
            .iter()
            .filter_map(|member| member.data_as().ok())
            .collect();
        names.sort_unstable();
        names
    }
}

impl OnGatewayInit for LobbyGateway {
    async fn after_init(&self, server: &Server) {
        let lobby = server.presence("lobby");
        let server = server.clone();
        lobby.on_change(move |event| {
            // Every node hears of it, and tells its own clients.
            let (what, socket) = match event {
                PresenceEvent::Joined(socket) => ("came", socket),
                PresenceEvent::Left(socket) => ("went", socket),
                _ => return,
            };
            server.local().to("lobby").emit(what, socket.data());
        });
        let _ = self.lobby.set(lobby);
    }
}

/// The application.
#[module(providers = [LobbyGateway])]
pub struct LobbyModule;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let env = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let address = format!("{}:{}", env("HOST", "127.0.0.1"), env("PORT", "3000"));
    let mut app = App::create::<LobbyModule>().await?;
    match &*env("ADAPTER", "socketio") {
        "socketio" => {}
        "ws" => drop(app.use_websocket_adapter(WsAdapter::new())),
        "both" => drop(app.use_websocket_adapters((SocketIoAdapter::new(), WsAdapter::at("/ws")))),
        other => return Err(format!("ADAPTER: socketio, ws or both is expected, not {other:?}").into()),
    }
    if let Ok(url) = std::env::var("REDIS_URL") {
        let config = RedisConfig {
            mode: env("REDIS_MODE", "classic").parse()?,
            ..RedisConfig::default()
        };
        app.use_cluster(RedisAdapter::connect_with(&url, config).await?);
    }
    let app = app.bind(address).await?;
    println!("listening on http://{}", app.local_addr());
    app.serve().await;
    Ok(())
}
