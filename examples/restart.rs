//! A server that is replaced by a new one on the same port while clients are connected: none is refused, they come back one
//! after the other, and with Redis they get what they missed. Start a second one, and then end the first with SIGTERM.
//!
//! `PORT` (3000) and `HOST` (127.0.0.1) choose the address, which both share, unless a listener is inherited (`LISTEN_FDS`, as
//! systemd's socket activation has it). `DRAIN_SPREAD` is over how many milliseconds clients are told of the end (2000).
//! `REDIS_URL` keeps their sessions and messages outside of the process; `LOCAL_CLUSTER` is a directory by which the two
//! processes are one server while both are there. Clients speak Socket.IO, plain WebSockets at `/ws`, or listen at `/news`.

use std::time::Duration;

use gatewire::HubConfig;
use gatewire::prelude::*;
use gatewire_hub::Recovery;
use gatewire_local::LocalCluster;
use gatewire_redis::{Mode, RedisAdapter, RedisConfig, StreamsConfig};
use listenfd::ListenFd;

#[websocket_gateway]
struct NewsGateway {
    #[websocket_server]
    server: Server,
}

#[subscriptions]
impl NewsGateway {
    /// To all clients of both processes.
    #[subscribe_message("say")]
    fn say(&self, MessageBody(number): MessageBody<u32>) -> u32 {
        self.server.emit("news", &number);
        number
    }

    /// Which of the processes it is.
    #[subscribe_message("process")]
    fn process(&self) -> u32 {
        std::process::id()
    }
}

#[controller("/news")]
struct NewsController {
    #[websocket_server]
    server: Server,
}

#[routes]
impl NewsController {
    #[sse]
    fn news(&self) -> Feed {
        Feed::of(&self.server)
    }
}

#[module(controllers = [NewsController], providers = [NewsGateway])]
struct AppModule;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let env = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let redis = std::env::var("REDIS_URL").ok();
    let hub = HubConfig {
        connection_state_recovery: redis.is_some().then(Recovery::default),
        ..HubConfig::default()
    };
    let mut app = App::create::<AppModule>().hub_config(hub).await?;
    app.use_websocket_adapters((SocketIoAdapter::new(), WsAdapter::at("/ws")));
    if let Some(url) = redis {
        let config = RedisConfig {
            // Rather late than without an offset: who comes back is to get nothing twice.
            mode: Mode::Streams(StreamsConfig {
                offset_wait: Duration::from_secs(10),
                ..StreamsConfig::default()
            }),
            share_sessions: true,
            ..RedisConfig::default()
        };
        app.use_cluster(RedisAdapter::connect_with(&url, config).await?);
    } else if let Ok(path) = std::env::var("LOCAL_CLUSTER") {
        app.use_cluster(LocalCluster::at(path).await?);
    }
    let app = match ListenFd::from_env().take_tcp_listener(0)? {
        Some(listener) => app.bind_on(listener).await?.hand_over(true),
        None => {
            app.reuse_port(true);
            app.bind(format!("{}:{}", env("HOST", "127.0.0.1"), env("PORT", "3000")))
                .await?
        }
    };
    println!("listening on http://{}", app.local_addr());
    let spread = Duration::from_millis(env("DRAIN_SPREAD", "2000").parse()?);
    app.drain_spread(spread).serve().await;
    Ok(())
}
