//! The life of an application: what is called when it starts and ends, in which order, and what its clients see. Stop it
//! with Ctrl-C or SIGTERM while a client is connected. `PORT` (3000) and `HOST` (127.0.0.1) choose the address.

use std::sync::Mutex;
use std::time::Duration;

use gatewire::prelude::*;

/// Stands for a connection pool: opened before anybody needs it, closed when nobody does any more.
#[injectable]
struct Database {
    logger: Logger,
    #[inject(default)]
    rows: Mutex<Vec<String>>,
}

impl Database {
    async fn insert(&self, row: String) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        self.rows
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .push(row);
    }
}

impl OnModuleInit for Database {
    async fn on_module_init(&self) -> HookResult {
        // An error here stops the start: `?` takes any.
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.logger.log("connected");
        Ok(())
    }
}

impl OnApplicationShutdown for Database {
    async fn on_application_shutdown(&self, signal: Option<ShutdownSignal>) {
        // Every handler and every `handle_disconnect` has ended: nobody inserts any more.
        let rows = self.rows.lock().map_or(0, |rows| rows.len());
        let why = signal.map_or("asked to", ShutdownSignal::as_str);
        self.logger.log(format_args!("closed with {rows} rows ({why})"));
    }
}

#[websocket_gateway]
struct OrdersGateway {
    #[websocket_server]
    server: Server,
    database: Arc<Database>,
    logger: Logger,
}

#[subscriptions]
impl OrdersGateway {
    #[subscribe_message("order")]
    async fn order(&self, MessageBody(item): MessageBody<String>) -> String {
        self.database.insert(item.clone()).await;
        format!("ordered {item}")
    }
}

impl OnApplicationBootstrap for OrdersGateway {
    async fn on_application_bootstrap(&self) -> HookResult {
        self.logger.log("everything is ready; now clients are let in");
        Ok(())
    }
}

impl BeforeApplicationShutdown for OrdersGateway {
    async fn before_application_shutdown(&self, _signal: Option<ShutdownSignal>) {
        // The last moment at which clients are connected.
        self.server.emit("maintenance", "back in a minute");
    }
}

impl OnGatewayDisconnect for OrdersGateway {
    async fn handle_disconnect(&self, client: &Socket, reason: DisconnectReason) {
        self.database.insert(format!("{} left", client.id())).await;
        self.logger.log(format_args!("{} left: {reason}", client.id()));
    }
}

#[module(providers = [Database, OrdersGateway])]
struct AppModule;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let env = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let address = format!("{}:{}", env("HOST", "127.0.0.1"), env("PORT", "3000"));
    let app = App::create::<AppModule>().await?.bind(address).await?;
    println!("listening on http://{}", app.local_addr());
    app.drain_timeout(Duration::from_secs(5)).serve().await;
    Ok(())
}
