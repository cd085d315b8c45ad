//! One node of a cluster. `PORT` (3000) and `HOST` (127.0.0.1) choose its address, `REDIS_URL` the Redis that connects the
//! nodes; `REDIS_MODE` is `classic`, `sharded` or `streams`, and with `SHARE_SESSIONS=1` a client that polls may come to any
//! node. `LOCAL_CLUSTER` is a directory instead, by which the processes of one machine are nodes, and with `REUSE_PORT=1` all
//! of them may listen on one port. Without either the node is alone.

use gatewire::prelude::*;
use gatewire_local::LocalCluster;
use gatewire_redis::{RedisAdapter, RedisConfig};
use serde::Deserialize;

#[derive(Deserialize)]
struct ToRoom {
    room: String,
    message: String,
}

#[websocket_gateway(cors(origin = "*"))]
struct ClusterGateway {
    #[websocket_server]
    server: Server,
}

#[subscriptions]
impl ClusterGateway {
    #[subscribe_message("ping")]
    fn ping(&self, MessageBody(data): MessageBody<String>) -> String {
        format!("pong: {data}")
    }

    #[subscribe_message("ping-emit")]
    fn ping_emit(&self, MessageBody(data): MessageBody<String>) -> WsResponse<String> {
        WsResponse::new("pong", format!("pong: {data}"))
    }

    #[subscribe_message("broadcast")]
    fn broadcast(&self, MessageBody(message): MessageBody<String>) {
        self.server.emit("message", &message);
    }

    #[subscribe_message("join")]
    fn join(&self, client: Socket, MessageBody(room): MessageBody<String>) {
        client.join(room);
    }

    #[subscribe_message("to-room")]
    fn to_room(&self, MessageBody(body): MessageBody<ToRoom>) {
        self.server.to(body.room).emit("message", &body.message);
    }

    /// The sockets of all nodes.
    #[subscribe_message("who")]
    async fn who(&self) -> Vec<String> {
        let sockets = self.server.fetch_sockets().await;
        sockets.iter().map(|socket| socket.id().to_string()).collect()
    }
}

#[module(providers = [ClusterGateway])]
struct ClusterModule;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let env = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let address = format!("{}:{}", env("HOST", "127.0.0.1"), env("PORT", "3000"));
    let mut app = App::create::<ClusterModule>().await?;
    if let Ok(url) = std::env::var("REDIS_URL") {
        let config = RedisConfig {
            mode: env("REDIS_MODE", "classic").parse()?,
            share_sessions: env("SHARE_SESSIONS", "0") == "1",
            ..RedisConfig::default()
        };
        app.use_cluster(RedisAdapter::connect_with(&url, config).await?);
    } else if let Ok(path) = std::env::var("LOCAL_CLUSTER") {
        app.use_cluster(LocalCluster::at(path).await?);
    }
    app.reuse_port(env("REUSE_PORT", "0") == "1");
    let app = app.bind(address).await?;
    println!("listening on http://{}", app.local_addr());
    app.serve().await;
    Ok(())
}
