//! The server that the protocols' own test suites ask for: fast heartbeats, two namespaces, and events that come back
//! as they were sent. `PORT` (3000) and `HOST` (127.0.0.1) choose the address.

use gatewire::prelude::*;

#[websocket_gateway(
    cors(origin = "*"),
    ping_interval = 300,
    ping_timeout = 200,
    connect_timeout = 1000,
    max_http_buffer_size = 1_000_000
)]
struct RootGateway;

#[subscriptions]
impl RootGateway {
    #[subscribe_message("message")]
    fn message(&self, client: Socket, arguments: Payload) {
        client.emit_payload("message-back", &arguments);
    }

    #[subscribe_message("message-with-ack")]
    fn message_with_ack(&self, arguments: Payload) -> Payload {
        arguments
    }
}

impl OnGatewayConnection for RootGateway {
    async fn handle_connection(&self, client: &Socket) -> Result<(), WsException> {
        send_auth(client)
    }
}

/// Reaches the client after the confirmation of its connection.
fn send_auth(client: &Socket) -> Result<(), WsException> {
    let auth: serde_json::Value = client.auth().map_err(WsException::internal)?;
    client.emit("auth", &auth);
    Ok(())
}

#[websocket_gateway(namespace = "/custom")]
struct CustomGateway;

impl OnGatewayConnection for CustomGateway {
    async fn handle_connection(&self, client: &Socket) -> Result<(), WsException> {
        send_auth(client)
    }
}

#[module(providers = [RootGateway, CustomGateway])]
struct ConformanceModule;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let env = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    if env("ADAPTER", "socketio") != "socketio" {
        return Err("ADAPTER: only \"socketio\" will do, which is what the suites speak".into());
    }
    let address = format!("{}:{}", env("HOST", "127.0.0.1"), env("PORT", "3000"));
    let app = App::create::<ConformanceModule>().await?.bind(address).await?;
    println!("listening on http://{}", app.local_addr());
    app.serve().await;
    Ok(())
}
