//! Options that are known only at start: from the environment, from an injected provider, and what is wrong with them.

use gatewire::gateway::GatewayOptions;
use gatewire::module::Fault;
use gatewire::prelude::*;
use gatewire::{Error, module};

struct Config {
    namespace: String,
}

async fn read_config() -> Config {
    Config {
        namespace: "from-config".to_owned(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what is injected comes by value")]
fn injected(config: Arc<Config>, _nothing: Option<Arc<u8>>) -> GatewayOptions {
    GatewayOptions::new().namespace(config.namespace.clone())
}

#[websocket_gateway(namespace = "/written", path = "/chat", options = injected)]
struct Injected {
    #[websocket_server]
    server: Server,
}

#[module(providers = [factory(read_config), Injected])]
struct InjectedModule;

#[tokio::test]
async fn options_come_from_a_provider() {
    let app = App::create::<InjectedModule>().without_logger().await.unwrap();
    assert_eq!(app.get::<Injected>().server.name(), "/from-config");
}

#[websocket_gateway(options = || "no number".parse::<u16>().map(|port| GatewayOptions::new().port(port)))]
struct Failing;

#[module(providers = [Failing])]
struct FailingModule;

#[websocket_gateway(path = "/chat", ping_interval = 1000)]
struct Written;

#[websocket_gateway(options = || GatewayOptions::new().path("/chat").ping_interval(std::time::Duration::from_secs(2)))]
struct Disagreeing;

#[module(providers = [Written, Disagreeing])]
struct DisagreeingModule;

fn circular(_gateway: Arc<Service>) -> GatewayOptions {
    GatewayOptions::new()
}

#[injectable]
struct Service {
    _gateway: Arc<Written>,
}

#[websocket_gateway(options = circular)]
struct Circular;

#[module(providers = [Written, Circular, Service])]
struct CircularModule;

fn unprovided(_config: Arc<Config>) -> GatewayOptions {
    GatewayOptions::new()
}

#[websocket_gateway(options = unprovided)]
struct Unprovided;

#[module(providers = [Unprovided])]
struct UnprovidedModule;

async fn error<M: module::Module>() -> Error {
    App::create::<M>().without_logger().await.err().unwrap()
}

#[tokio::test]
async fn wrong_options_stop_the_start() {
    gatewire::verify::<FailingModule>().unwrap();
    assert_eq!(
        error::<FailingModule>().await.to_string(),
        "the application cannot start: the options of Failing are not known: invalid digit found in string"
    );

    let Error::Verify(error) = error::<DisagreeingModule>().await else {
        panic!("two servers on one path");
    };
    assert!(
        matches!(
            error.faults(),
            [Fault::OptionConflict {
                option: "ping_interval",
                ..
            }]
        ),
        "{error}"
    );

    let error = gatewire::verify::<CircularModule>().unwrap_err();
    assert_eq!(
        error.faults(),
        [Fault::OptionsNeedGateway {
            module: "CircularModule".to_owned(),
            gateway: "Circular".to_owned(),
            needed: "Written".to_owned(),
        }]
    );

    let error = gatewire::verify::<UnprovidedModule>().unwrap_err();
    assert!(
        matches!(error.faults(), [Fault::MissingProvider { place, .. }] if place == "options"),
        "{error}"
    );
}
