//! The attribute macros of Gatewire, one file each. They read attributes and write impls of the public traits in
//! `gatewire`; they never rename, wrap or move what the user wrote, and hold no run-time logic.

mod controller;
mod diagnostics;
mod enhancers;
mod gateway;
mod handler;
mod injectable;
mod module;
mod options;
mod routes;
mod signature;
mod subscribe;
mod subscriptions;

use proc_macro::TokenStream;

/// Makes a struct a provider that the container builds from its fields.
///
/// Every field must be injectable (`Arc<T>`, also with `T = dyn Trait`; `Option<Arc<T>>`; `Logger`), or say where its
/// value comes from: `#[inject(default)]` takes `Default::default()`, `#[inject(value = expr)]` an expression.
///
/// ```
/// use gatewire::prelude::*;
///
/// #[injectable]
/// pub struct Clock;
///
/// #[injectable]
/// pub struct ChatService {
///     clock: Arc<Clock>,
///     logger: Logger,
///     #[inject(default)]
///     history: std::sync::Mutex<Vec<String>>,
///     #[inject(value = 100)]
///     limit: usize,
/// }
/// ```
#[proc_macro_attribute]
pub fn injectable(args: TokenStream, item: TokenStream) -> TokenStream {
    injectable::expand(&args.into(), &item.into()).into()
}

/// Makes a struct a gateway: injectable, and bound to a namespace.
///
/// All options may be left out; an option that is not written is taken from another gateway of the same server (same
/// port and path), from the adapter, or from Socket.IO's default.
///
/// | option | value | default |
/// |---|---|---|
/// | `namespace` | name, or a pattern such as `"/room-:id"`; the leading `/` may be left out | `"/"` |
/// | `path` | path of the server | `"/socket.io"` |
/// | `port` | own port; 0 is the application's | the application's |
/// | `cors` | `cors`, or `cors(origin = "*" \| true \| ["https://a"], methods = [..], allowed_headers = [..], exposed_headers = [..], credentials = true, max_age = seconds)` | none |
/// | `transports` | some of `["polling", "websocket"]` | both |
/// | `ping_interval`, `ping_timeout` | milliseconds | 25000, 20000 |
/// | `connect_timeout`, `upgrade_timeout` | milliseconds | 45000, 10000 |
/// | `max_http_buffer_size` | bytes a message may have | 1000000 |
/// | `allow_upgrades` | whether polling may become a WebSocket | `true` |
/// | `codec` | the form of messages on plain WebSockets, a `MessageCodec`; for the whole namespace | `{"event","data"}` |
/// | `options` | a function that gives more of them at start | none |
///
/// `options` names a function of injectable parameters, or of none, that returns `GatewayOptions` or a `Result` of them:
/// for what is known only when the application starts. What it says goes before what the attribute says.
///
/// ```
/// use gatewire::gateway::GatewayOptions;
/// use gatewire::prelude::*;
///
/// struct Config { chat_path: String }
///
/// impl Config {
///     fn chat(config: Arc<Self>) -> GatewayOptions {
///         GatewayOptions::new().path(config.chat_path.clone())
///     }
/// }
///
/// #[websocket_gateway(namespace = "/chat", options = Config::chat)]
/// struct ChatGateway;
/// ```
///
/// A field marked `#[websocket_server]` is given the gateway's `Server`: its namespace. One of a pattern has a
/// `ParentServer` instead, which speaks to all namespaces of it. The other fields are injected as for
/// [`macro@injectable`].
///
/// ```
/// use gatewire::prelude::*;
///
/// #[websocket_gateway(namespace = "/chat", cors(origin = ["https://example.org"], credentials = true))]
/// pub struct ChatGateway {
///     #[websocket_server]
///     server: Server,
///     logger: Logger,
/// }
/// ```
#[proc_macro_attribute]
pub fn websocket_gateway(args: TokenStream, item: TokenStream) -> TokenStream {
    gateway::expand(args.into(), &item.into()).into()
}

/// Collects the `#[subscribe_message(..)]` methods of an impl block of a gateway.
///
/// A handler takes `&self` and any number of extractors, is `async` or not, and returns what is answered: any
/// `Serialize` value, `()`, `Option`, `WsResponse`, `Payload`, `AckOnly`, a `Stream` of such values, or a `Result` of one of
/// them. A parameter of any other type says what part of the message's body it is: `#[message_body("key")]`; pipes behind
/// the key make something else of it, as in `#[message_body("id", ParseInt)]`, and without a key it is the whole body.
///
/// The options of [`macro@subscribe_message`] are written here for all asynchronous handlers of the block that do not say
/// otherwise: `#[subscriptions(timeout = "5s")]`.
///
/// ```
/// use gatewire::prelude::*;
///
/// #[websocket_gateway]
/// pub struct EventsGateway {
///     #[websocket_server]
///     server: Server,
/// }
///
/// #[subscriptions]
/// impl EventsGateway {
///     #[subscribe_message("ping")]
///     async fn handle_ping(&self, MessageBody(data): MessageBody<String>) -> String {
///         format!("pong: {data}")
///     }
///
///     #[subscribe_message("broadcast")]
///     fn handle_broadcast(&self, MessageBody(message): MessageBody<String>) {
///         self.server.emit("message", &message);
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn subscriptions(args: TokenStream, item: TokenStream) -> TokenStream {
    subscriptions::expand(&args.into(), &item.into()).into()
}

/// Marks a method inside a [`macro@subscriptions`] block as the handler of an event. A method may have several.
///
/// `#[subscribe_message("x")]`: events of one client are handled in order, the next one waits. An `async` handler, and one
/// that returns a stream, may say more:
///
/// | option | meaning |
/// |---|---|
/// | `concurrent` | the next event does not wait for this handler; up to 64 calls for one client, then the order is kept again |
/// | `concurrent = 8` | the same with another bound |
/// | `timeout = "2s"` | a call that takes longer is dropped, and answered with the exception `Request timeout`; counted from when it first has to wait, in `ms`, `s`, `min`, `h`, or a number of milliseconds |
/// | `on_disconnect = "cancel"` | a call that runs when its client leaves is dropped at its next `.await`; without it (`"wait"`) it runs to its end, and `handle_disconnect` waits for it. A stream is always dropped |
#[proc_macro_attribute]
pub fn subscribe_message(_: TokenStream, item: TokenStream) -> TokenStream {
    subscriptions::misplaced(&item.into()).into()
}

/// Makes a struct a controller: injectable, and bound to a path.
///
/// `#[controller("/prices")]`; without a path its handlers are at the root. A field marked `#[websocket_server]` is given a
/// `Server`: the namespace `/`, or the one that `namespace = "/chat"` names. The other fields are injected as for
/// [`macro@injectable`].
///
/// ```
/// use gatewire::prelude::*;
///
/// #[controller("/chat", namespace = "/chat")]
/// pub struct ChatController {
///     #[websocket_server]
///     server: Server,
///     logger: Logger,
/// }
///
/// #[module(controllers = [ChatController])]
/// struct ChatModule;
/// ```
#[proc_macro_attribute]
pub fn controller(args: TokenStream, item: TokenStream) -> TokenStream {
    controller::expand(args.into(), &item.into()).into()
}

/// Collects the `#[get(..)]`, `#[post(..)]`, `#[put(..)]`, `#[patch(..)]`, `#[delete(..)]` and `#[sse(..)]` methods of an
/// impl block of a controller.
///
/// A handler takes `&self` and any number of extractors of axum, of which the last may read the body; `Path`, `Extension`
/// and `Valid` are extractors here, too. It is `async` or not, and returns what axum can answer with, or any other
/// `Serialize` value, which becomes JSON, or a `Result` of one of them whose error converts into `HttpError`.
///
/// ```
/// use gatewire::prelude::*;
///
/// #[controller("/cats")]
/// pub struct CatsController {
///     #[inject(default)]
///     cats: std::sync::Mutex<Vec<String>>,
/// }
///
/// #[routes]
/// impl CatsController {
///     #[get("/{id}")]
///     fn cat(&self, Path(id): Path<usize>) -> Result<String, HttpError> {
///         let cats = self.cats.lock().unwrap();
///         cats.get(id).cloned().ok_or_else(|| HttpError::not_found("no such cat"))
///     }
///
///     #[post]
///     async fn add(&self, Json(name): Json<String>) {
///         self.cats.lock().unwrap().push(name);
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn routes(args: TokenStream, item: TokenStream) -> TokenStream {
    routes::expand(&args.into(), &item.into()).into()
}

/// Marks a method inside a [`macro@routes`] block as the handler of GET (and HEAD) at a path below the controller's.
#[proc_macro_attribute]
pub fn get(_: TokenStream, item: TokenStream) -> TokenStream {
    routes::misplaced("get", &item.into()).into()
}

/// Marks a method inside a [`macro@routes`] block as the handler of POST at a path below the controller's.
#[proc_macro_attribute]
pub fn post(_: TokenStream, item: TokenStream) -> TokenStream {
    routes::misplaced("post", &item.into()).into()
}

/// Marks a method inside a [`macro@routes`] block as the handler of PUT at a path below the controller's.
#[proc_macro_attribute]
pub fn put(_: TokenStream, item: TokenStream) -> TokenStream {
    routes::misplaced("put", &item.into()).into()
}

/// Marks a method inside a [`macro@routes`] block as the handler of PATCH at a path below the controller's.
#[proc_macro_attribute]
pub fn patch(_: TokenStream, item: TokenStream) -> TokenStream {
    routes::misplaced("patch", &item.into()).into()
}

/// Marks a method inside a [`macro@routes`] block as the handler of DELETE at a path below the controller's.
#[proc_macro_attribute]
pub fn delete(_: TokenStream, item: TokenStream) -> TokenStream {
    routes::misplaced("delete", &item.into()).into()
}

/// Marks a method inside a [`macro@routes`] block as one that opens a stream of Server-Sent Events:
/// `#[sse("/ticker")]`, or `#[sse("/ticker", method = POST)]`.
///
/// It returns a `Stream`, a `Feed`, or an `Option` of one (`None` is answered with 204, after which a browser does not come
/// back), or a `Result` of these. Items are `SseEvent`s, texts, other `Serialize` values (as JSON), or a `Result` of these.
/// An error that is there before anything was sent is the answer to the request; a later one ends the stream with an event
/// `exception`. The stream is dropped when its client leaves.
#[proc_macro_attribute]
pub fn sse(_: TokenStream, item: TokenStream) -> TokenStream {
    routes::misplaced("sse", &item.into()).into()
}

/// Binds guards to a gateway or a controller (on the struct or its block of handlers) or to a handler.
///
/// An entry that is a type is resolved from the container: it must be injectable, may inject what the gateway's module
/// sees, and need not be listed among the providers. Any other expression is a value, made once at start:
/// `#[use_guards(JwtGuard, Throttle::per_client(10, Duration::from_secs(1)))]`.
#[proc_macro_attribute]
pub fn use_guards(args: TokenStream, item: TokenStream) -> TokenStream {
    enhancers::reorder("use_guards", &args.into(), &item.into()).into()
}

/// Binds interceptors, in the way of [`macro@use_guards`]; the first is the outermost.
#[proc_macro_attribute]
pub fn use_interceptors(args: TokenStream, item: TokenStream) -> TokenStream {
    enhancers::reorder("use_interceptors", &args.into(), &item.into()).into()
}

/// Binds pipes of whole bodies, in the way of [`macro@use_guards`]. Pipes of single values stand at their parameters, in
/// `#[message_body(..)]`.
#[proc_macro_attribute]
pub fn use_pipes(args: TokenStream, item: TokenStream) -> TokenStream {
    enhancers::reorder("use_pipes", &args.into(), &item.into()).into()
}

/// Binds exception filters, in the way of [`macro@use_guards`]; the last is asked first.
#[proc_macro_attribute]
pub fn use_filters(args: TokenStream, item: TokenStream) -> TokenStream {
    enhancers::reorder("use_filters", &args.into(), &item.into()).into()
}

/// Puts values on a gateway or handler for its guards, interceptors and filters, which find them by their types:
/// `#[set_metadata(Roles(&["admin"]))]` and `context.metadata::<Roles>()`.
#[proc_macro_attribute]
pub fn set_metadata(args: TokenStream, item: TokenStream) -> TokenStream {
    enhancers::reorder("set_metadata", &args.into(), &item.into()).into()
}

/// Makes a struct a module.
///
/// - `imports = [OtherModule, ChatModule::for_root(config)]`: whose exports this module's providers see; what is not a
///   type is a function's call that makes a `DynamicModule`;
/// - `controllers = [..]`: the structs with [`macro@controller`] that answer requests;
/// - `providers = [..]`: what it builds: `ChatService` (injectable or gateway), `PgRepo as dyn Repo`, `value(expr)`,
///   `value(expr) as dyn Repo`, `factory(path::to::async_fn)`;
/// - `exports = [..]`: which providers, or imported modules, others see;
/// - `global`: its exports are visible everywhere.
///
/// ```
/// use gatewire::prelude::*;
///
/// trait Repo: Send + Sync {}
///
/// #[injectable]
/// struct PgRepo;
/// impl Repo for PgRepo {}
///
/// struct Config { url: String }
/// struct Pool;
///
/// async fn connect(config: Arc<Config>) -> Result<Pool, std::io::Error> {
///     let _ = &config.url;
///     Ok(Pool)
/// }
///
/// #[module(
///     providers = [PgRepo as dyn Repo, value(Config { url: "db".into() }), factory(connect)],
///     exports = [dyn Repo],
/// )]
/// struct StorageModule;
///
/// #[module(imports = [StorageModule])]
/// struct AppModule;
/// ```
#[proc_macro_attribute]
pub fn module(args: TokenStream, item: TokenStream) -> TokenStream {
    module::expand(args.into(), &item.into()).into()
}
