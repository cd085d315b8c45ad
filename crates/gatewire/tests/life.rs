//! The life of an application: the hooks of its start and its end, their order, what fails in them, and that nothing
//! is left of it.

#[path = "support/log.rs"]
mod log;

use std::sync::atomic::{AtomicUsize, Ordering};

use gatewire::Error;
use gatewire::prelude::*;
use gatewire::testing::ScriptedClient as Peer;
use log::Log;

/// A struct with every hook, each of which writes down its name.
macro_rules! with_hooks {
    ($name:ident) => {
        impl OnModuleInit for $name {
            async fn on_module_init(&self) -> HookResult {
                tokio::task::yield_now().await;
                self.log.note(concat!(stringify!($name), " init"));
                Ok(())
            }
        }

        impl OnApplicationBootstrap for $name {
            async fn on_application_bootstrap(&self) -> HookResult {
                self.log.note(concat!(stringify!($name), " bootstrap"));
                Ok(())
            }
        }

        impl OnModuleDestroy for $name {
            async fn on_module_destroy(&self) {
                tokio::task::yield_now().await;
                self.log.note(concat!(stringify!($name), " destroy"));
            }
        }

        impl BeforeApplicationShutdown for $name {
            async fn before_application_shutdown(&self, signal: Option<ShutdownSignal>) {
                self.log
                    .note(format!("{} before {signal:?}", stringify!($name)));
            }
        }

        impl OnApplicationShutdown for $name {
            async fn on_application_shutdown(&self, signal: Option<ShutdownSignal>) {
                self.log
                    .note(format!("{} end {signal:?}", stringify!($name)));
            }
        }
    };
}

#[injectable]
struct Database {
    log: Arc<Log>,
}

with_hooks!(Database);

trait Store: Send + Sync {
    fn inits(&self) -> usize;
}

/// Provided as a value, seen as a trait.
#[derive(Default)]
struct Memory {
    inits: AtomicUsize,
}

impl Store for Memory {
    fn inits(&self) -> usize {
        self.inits.load(Ordering::SeqCst)
    }
}

impl OnModuleInit for Memory {
    async fn on_module_init(&self) -> HookResult {
        self.inits.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

struct Cache {
    log: Arc<Log>,
}

with_hooks!(Cache);

async fn cache(log: Arc<Log>, _database: Arc<Database>) -> Result<Cache, std::io::Error> {
    Ok(Cache { log })
}

#[websocket_gateway]
struct Gateway {
    #[websocket_server]
    server: Server,
    log: Arc<Log>,
    _cache: Arc<Cache>,
    _store: Arc<dyn Store>,
}

with_hooks!(Gateway);

impl OnGatewayInit for Gateway {
    async fn after_init(&self, _server: &Server) {
        self.log.note("Gateway after_init");
    }
}

#[module(
    providers = [Log, Database, factory(cache), value(Memory::default()) as dyn Store],
    exports = [Log, Cache, dyn Store],
)]
struct DataModule;

#[module(imports = [DataModule], providers = [Gateway])]
struct AppModule;

const START: [&str; 7] = [
    "Gateway after_init",
    "Database init",
    "Cache init",
    "Gateway init",
    "Database bootstrap",
    "Cache bootstrap",
    "Gateway bootstrap",
];

const END: [&str; 9] = [
    "Gateway destroy",
    "Cache destroy",
    "Database destroy",
    "Gateway before None",
    "Cache before None",
    "Database before None",
    "Gateway end None",
    "Cache end None",
    "Database end None",
];

#[tokio::test]
async fn hooks_are_called_in_the_order_of_nestjs() {
    let app = App::create::<AppModule>().without_logger().await.unwrap();
    let log = app.get::<Log>();
    assert_eq!(log.take(), START);
    assert_eq!(app.get::<dyn Store>().inits(), 1, "a value has its hooks, too");
    let handle = app.handle();
    app.close().await;
    assert_eq!(log.take(), END);
    handle.close().await;
    assert!(log.take().is_empty(), "an application ends once");
}

#[injectable]
struct Broken;

impl OnModuleInit for Broken {
    async fn on_module_init(&self) -> HookResult {
        Err("no licence".into())
    }
}

impl OnApplicationBootstrap for Broken {
    async fn on_application_bootstrap(&self) -> HookResult {
        unreachable!("after an error");
    }
}

#[module(providers = [Broken])]
struct BrokenModule;

#[injectable]
struct Panicking;

impl OnApplicationBootstrap for Panicking {
    async fn on_application_bootstrap(&self) -> HookResult {
        panic!("out of luck");
    }
}

impl OnModuleDestroy for Panicking {
    async fn on_module_destroy(&self) {
        panic!("at the end, too");
    }
}

#[module(providers = [Panicking])]
struct PanickingModule;

#[tokio::test]
async fn a_failing_hook_stops_the_start() {
    let error = App::create::<BrokenModule>()
        .without_logger()
        .await
        .err()
        .unwrap();
    assert_eq!(
        error,
        Error::Hook {
            provider: "Broken".to_owned(),
            hook: "on_module_init",
            message: "no licence".to_owned(),
        }
    );
    let error = App::create::<PanickingModule>()
        .without_logger()
        .await
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "the application cannot start: on_application_bootstrap of Panicking: panicked: out of luck"
    );
}

#[tokio::test]
async fn nothing_is_left_of_an_application() {
    let app = App::create::<AppModule>().without_logger().await.unwrap();
    let gateway = Arc::downgrade(&app.get::<Gateway>());
    let mut peer = Peer::joined(&app.get::<Gateway>().server);
    assert_eq!(peer.ask(r#"21["nothing"]"#).len(), 1);
    drop(app);
    assert!(
        gateway.upgrade().is_some(),
        "the client has its gateways to its end"
    );
    peer.close().await;
    assert!(gateway.upgrade().is_none());
}
