//! Modules: a configuration that is read at start, a module that is configured where it is imported, a provider that
//! stands behind a trait, and gateway options out of the configuration. `cargo run --example modules -- graph` prints
//! the module graph, `-- dot` the same for Graphviz. `PORT` (3000), `HOST` (127.0.0.1), `CHAT_NAMESPACE` (/chat) and
//! `HISTORY` (50) are the configuration.

use std::sync::Mutex;

use gatewire::gateway::GatewayOptions;
use gatewire::module::{Factory, ModuleGraph, Provider};
use gatewire::prelude::*;

/// What the environment says.
struct Config {
    address: String,
    chat_namespace: String,
    history: usize,
}

impl Config {
    async fn from_env() -> Result<Self, std::num::ParseIntError> {
        let env = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
        Ok(Self {
            address: format!("{}:{}", env("HOST", "127.0.0.1"), env("PORT", "3000")),
            chat_namespace: env("CHAT_NAMESPACE", "/chat"),
            history: env("HISTORY", "50").parse()?,
        })
    }
}

/// Global: whoever needs the configuration has it without an import.
#[module(global, providers = [factory(Config::from_env)], exports = [Config])]
struct ConfigModule;

/// Where messages are kept.
trait History: Send + Sync {
    fn push(&self, message: String);
    fn all(&self) -> Vec<String>;
}

/// What the module of the history is configured with.
struct HistoryLimit(usize);

#[injectable]
struct MemoryHistory {
    limit: Arc<HistoryLimit>,
    #[inject(default)]
    messages: Mutex<Vec<String>>,
}

impl History for MemoryHistory {
    fn push(&self, message: String) {
        let Ok(mut messages) = self.messages.lock() else {
            return;
        };
        if messages.len() >= self.limit.0 {
            messages.remove(0);
        }
        messages.push(message);
    }

    fn all(&self) -> Vec<String> {
        self.messages
            .lock()
            .map_or_else(|_| Vec::new(), |messages| messages.clone())
    }
}

/// Exports the trait alone: others cannot depend on how it is kept.
#[module(providers = [MemoryHistory as dyn History], exports = [dyn History])]
struct HistoryModule;

impl HistoryModule {
    /// The history that keeps as much as `limit` says when the application starts.
    fn for_root_async<Args>(limit: impl Factory<Args, Output = HistoryLimit>) -> DynamicModule {
        DynamicModule::of::<Self>().provide(Provider::factory(limit))
    }
}

/// The namespace of the chat is a matter of configuration, too.
#[expect(clippy::needless_pass_by_value, reason = "what is injected comes by value")]
fn chat_options(config: Arc<Config>) -> GatewayOptions {
    GatewayOptions::new().namespace(config.chat_namespace.clone())
}

#[websocket_gateway(options = chat_options)]
struct ChatGateway {
    #[websocket_server]
    server: Server,
    history: Arc<dyn History>,
}

#[subscriptions]
impl ChatGateway {
    #[subscribe_message("say")]
    fn say(&self, MessageBody(text): MessageBody<String>) {
        self.server.emit("said", &text);
        self.history.push(text);
    }

    #[subscribe_message("history")]
    fn history(&self) -> Vec<String> {
        self.history.all()
    }
}

#[module(imports = [HistoryModule], providers = [ChatGateway])]
struct ChatModule;

#[module(imports = [ConfigModule, ChatModule, HistoryModule::for_root_async(limit)])]
struct AppModule;

async fn limit(config: Arc<Config>) -> HistoryLimit {
    HistoryLimit(config.history)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("graph") => print!("{}", ModuleGraph::of::<AppModule>()),
        Some("dot") => print!("{}", ModuleGraph::of::<AppModule>().to_dot()),
        _ => {
            let app = App::create::<AppModule>().await?;
            let config = app.get::<Config>();
            let app = app.bind(&*config.address).await?;
            println!("listening on http://{}", app.local_addr());
            app.serve().await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_application_is_wired() {
        gatewire::verify::<AppModule>().unwrap();
    }

    async fn two() -> HistoryLimit {
        HistoryLimit(2)
    }

    #[module(imports = [HistoryModule::for_root_async(two)])]
    struct SmallModule;

    #[tokio::test]
    async fn the_history_forgets() {
        let app = App::create::<SmallModule>().without_logger().await.unwrap();
        let history = app.get::<dyn History>();
        for message in ["a", "b", "c"] {
            history.push(message.to_owned());
        }
        assert_eq!(history.all(), ["b", "c"]);
    }
}
