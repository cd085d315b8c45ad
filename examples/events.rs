//! The first gateway: one answer, one broadcast, and the three lifecycle hooks. `PORT` (3000) and `HOST` (127.0.0.1)
//! choose the address, `ADAPTER` what its clients speak: `socketio`, `ws` (plain WebSocket), or `both` (the latter at `/ws`).

use gatewire::prelude::*;

/// Answers pings and passes messages on to everybody.
#[websocket_gateway(cors(origin = "*"))]
pub struct EventsGateway {
    #[websocket_server]
    server: Server,
    logger: Logger,
}

#[subscriptions]
impl EventsGateway {
    #[subscribe_message("ping")]
    async fn handle_ping(&self, MessageBody(data): MessageBody<String>) -> String {
        format!("pong: {data}") // sent back to the sender
    }

    #[subscribe_message("broadcast")]
    async fn handle_broadcast(&self, MessageBody(message): MessageBody<String>) {
        self.server.emit("message", &message); // to every connected client
    }
}

impl OnGatewayInit for EventsGateway {
    async fn after_init(&self, _server: &Server) {
        self.logger.log("WebSocket server initialized");
    }
}

impl OnGatewayConnection for EventsGateway {
    async fn handle_connection(&self, client: &Socket) -> Result<(), WsException> {
        self.logger.log(format_args!("Client connected: {}", client.id()));
        Ok(())
    }
}

impl OnGatewayDisconnect for EventsGateway {
    async fn handle_disconnect(&self, client: &Socket, _reason: DisconnectReason) {
        self.logger
            .log(format_args!("Client disconnected: {}", client.id()));
    }
}

/// The application.
#[module(providers = [EventsGateway])]
pub struct EventsModule;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let env = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let address = format!("{}:{}", env("HOST", "127.0.0.1"), env("PORT", "3000"));
    let mut app = App::create::<EventsModule>().await?;
    match &*env("ADAPTER", "socketio") {
        "socketio" => {}
        "ws" => drop(app.use_websocket_adapter(WsAdapter::new())),
        "both" => drop(app.use_websocket_adapters((SocketIoAdapter::new(), WsAdapter::at("/ws")))),
        other => return Err(format!("ADAPTER: socketio, ws or both is expected, not {other:?}").into()),
    }
    let app = app.bind(address).await?;
    println!("listening on http://{}", app.local_addr());
    app.serve().await;
    Ok(())
}
