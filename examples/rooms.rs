//! Rooms that come into being when somebody asks for them (`/room-1`, `/room-2`), for Socket.IO clients and for plain WebSockets
//! at once. Reads `PORT` (3000) and `HOST` (127.0.0.1).
//!
//! ```js
//! const socket = io("http://localhost:3000/room-7", { auth: { name: "ada" } });
//! const plain = new WebSocket("ws://localhost:3000/ws/room-7?name=bob");
//! plain.onopen = () => plain.send(JSON.stringify({ event: "say", data: "hello", id: 1 }));
//! ```

use std::env;

use gatewire::HubConfig;
use gatewire::prelude::*;
use serde::{Deserialize, Serialize};

/// What a client of Socket.IO sends as `auth`, and a plain one in the query of its URL.
#[derive(Deserialize)]
struct Auth {
    name: String,
}

struct Name(String);

#[derive(Serialize)]
struct Said<'a> {
    name: &'a str,
    text: &'a str,
}

#[websocket_gateway(namespace = "/room-:number", cors(origin = "*"))]
struct RoomGateway {
    #[websocket_server]
    every_room: ParentServer,
    logger: Logger,
}

impl OnGatewayConnection for RoomGateway {
    async fn handle_connection(&self, client: &Socket) -> Result<(), WsException> {
        let Path(number) = Path::<u16>::of(client)?;
        if !(1..=99).contains(&number) {
            return Err("there are the rooms 1 to 99".into());
        }
        let auth: Auth = client.auth().map_err(|_| "say your name")?;
        self.logger
            .log(format_args!("{} enters room {number}", auth.name));
        client.broadcast().emit("entered", &auth.name);
        client.set(Name(auth.name));
        Ok(())
    }
}

#[subscriptions]
impl RoomGateway {
    /// To everybody in the room; the answer is how many there are.
    #[subscribe_message("say")]
    #[use_pipes(Trim)]
    fn say(&self, name: Extension<Name>, room: Server, MessageBody(text): MessageBody<String>) -> usize {
        room.emit(
            "said",
            &Said {
                name: &name.0.0,
                text: &text,
            },
        );
        room.len()
    }

    /// To everybody in every room.
    #[subscribe_message("announce")]
    async fn announce(&self, Path(number): Path<u16>, MessageBody(text): MessageBody<String>) {
        self.every_room
            .emit("announced", &format!("{text} (room {number})"));
    }
}

#[module(providers = [RoomGateway])]
struct AppModule;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let port: u16 = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    // A room is gone with the last one in it.
    let config = HubConfig {
        cleanup_empty_child_namespaces: true,
        ..HubConfig::default()
    };
    let mut app = App::create::<AppModule>().hub_config(config).await?;
    app.use_websocket_adapters((SocketIoAdapter::new(), WsAdapter::at("/ws")));
    let app = app.bind((host, port)).await?;
    println!("listening on http://{}", app.local_addr());
    app.serve().await;
    Ok(())
}
