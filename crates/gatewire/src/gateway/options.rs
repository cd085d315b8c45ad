//! The options of one gateway. All are optional: what is not written comes from elsewhere.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gatewire_proto::envelope::MessageCodec;

use super::{Cors, TransportKind};
use crate::module::{Dependency, Inject, InjectError, Resolver};

/// What `#[websocket_gateway(..)]` says. `None` is "not written".
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GatewayOptions {
    pub(crate) namespace: Option<Cow<'static, str>>,
    pub(crate) path: Option<Cow<'static, str>>,
    pub(crate) port: Option<u16>,
    pub(crate) codec: Option<Codec>,
    pub(crate) server: ServerOptions,
}

/// The part that belongs to the server, which gateways may share and for which the adapter has defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ServerOptions {
    pub(crate) cors: Option<Cors>,
    pub(crate) transports: Option<Vec<TransportKind>>,
    pub(crate) ping_interval: Option<Duration>,
    pub(crate) ping_timeout: Option<Duration>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) upgrade_timeout: Option<Duration>,
    pub(crate) max_http_buffer_size: Option<usize>,
    pub(crate) allow_upgrades: Option<bool>,
}

impl GatewayOptions {
    /// Nothing written.
    pub fn new() -> Self {
        Self::default()
    }

    /// The namespace; a leading `/` is added if it is missing. With parameters (`/room-:id`, `/:tenant/chat`) it stands for
    /// all namespaces that fit: each comes into being when a client asks for it, and [`Path`](super::Path) reads the
    /// parameters. [`HubConfig::max_dynamic_namespaces`](gatewire_hub::HubConfig) bounds how many there are.
    #[must_use]
    pub fn namespace(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.namespace = Some(name.into());
        self
    }

    /// The path of the server.
    #[must_use]
    pub fn path(mut self, path: impl Into<Cow<'static, str>>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// A port of its own; 0 is the application's.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = (port != 0).then_some(port);
        self
    }

    /// The form of the messages on plain WebSockets, for the whole namespace; Socket.IO has its own.
    #[must_use]
    pub fn codec(mut self, codec: impl MessageCodec) -> Self {
        self.codec = Some(Codec::new(codec));
        self
    }

    /// Which pages of other origins may connect. Without it the adapter's, or the application's.
    #[must_use]
    pub fn cors(mut self, cors: Cors) -> Self {
        self.server.cors = Some(cors);
        self
    }

    /// The transports that are served.
    #[must_use]
    pub fn transports(mut self, transports: impl Into<Vec<TransportKind>>) -> Self {
        self.server.transports = Some(transports.into());
        self
    }

    /// Time between pings.
    #[must_use]
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.server.ping_interval = Some(interval);
        self
    }

    /// Time for a pong to come.
    #[must_use]
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.server.ping_timeout = Some(timeout);
        self
    }

    /// Time for a new connection to join a namespace.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.server.connect_timeout = Some(timeout);
        self
    }

    /// Time for an upgrade to be completed.
    #[must_use]
    pub fn upgrade_timeout(mut self, timeout: Duration) -> Self {
        self.server.upgrade_timeout = Some(timeout);
        self
    }

    /// Bytes that one message may have.
    #[must_use]
    pub fn max_http_buffer_size(mut self, bytes: usize) -> Self {
        self.server.max_http_buffer_size = Some(bytes);
        self
    }

    /// Whether polling may become a WebSocket.
    #[must_use]
    pub fn allow_upgrades(mut self, allow: bool) -> Self {
        self.server.allow_upgrades = Some(allow);
        self
    }

    /// These, completed by `other`.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            namespace: self.namespace.or(other.namespace),
            path: self.path.or(other.path),
            port: self.port.or(other.port),
            codec: self.codec.or(other.codec),
            server: self.server.or(&other.server),
        }
    }

    /// The namespace with its leading `/`.
    pub(crate) fn namespace_name(&self) -> Cow<'static, str> {
        match &self.namespace {
            None => Cow::Borrowed("/"),
            Some(name) if name.starts_with('/') => name.clone(),
            Some(name) => Cow::Owned(format!("/{name}")),
        }
    }

    /// The path without a slash at its end.
    pub(crate) fn server_path(&self) -> &str {
        self.path
            .as_deref()
            .map_or("/socket.io", |path| path.trim_end_matches('/'))
    }
}

/// A form of messages. Two that show the same (`Debug`) are the same.
#[derive(Clone)]
pub(crate) struct Codec(pub(crate) Arc<dyn MessageCodec>);

impl Codec {
    pub(crate) fn new(codec: impl MessageCodec) -> Self {
        Self(Arc::new(codec))
    }
}

impl PartialEq for Codec {
    fn eq(&self, other: &Self) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Options that are known only when the application starts: what the function that stands behind
/// `#[websocket_gateway(options = ..)]` gives.
#[derive(Clone)]
pub struct LateOptions {
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) make: Arc<MakeOptions>,
}

type MakeOptions = dyn Fn(&Resolver<'_>) -> Result<GatewayOptions, InjectError> + Send + Sync;

impl LateOptions {
    /// What `factory` gives when its parameters are there.
    pub fn new<Args>(factory: impl OptionsFactory<Args>) -> Self {
        Self {
            dependencies: factory.dependencies(),
            make: Arc::new(move |resolver| factory.make(resolver)),
        }
    }
}

/// A function of injectable parameters (at most four) that gives [`GatewayOptions`], or a `Result` of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` gives no gateway options",
    label = "not a function that gives `GatewayOptions`",
    note = "`options` is a function of `Arc<T>`, `Option<Arc<T>>` or `Logger` parameters, or of none, that returns `GatewayOptions` or a `Result<GatewayOptions, E>`"
)]
pub trait OptionsFactory<Args>: Send + Sync + 'static {
    /// What the parameters need.
    fn dependencies(&self) -> Vec<Dependency>;

    /// Resolves the parameters and calls the function.
    ///
    /// # Errors
    /// If a parameter cannot be resolved, or the function gives an error.
    fn make(&self, resolver: &Resolver<'_>) -> Result<GatewayOptions, InjectError>;
}

/// What a function of options may return.
pub trait IntoOptions {
    /// The options, or why there are none.
    ///
    /// # Errors
    /// That of a `Result`, as text.
    fn into_options(self) -> Result<GatewayOptions, String>;
}

impl IntoOptions for GatewayOptions {
    fn into_options(self) -> Result<GatewayOptions, String> {
        Ok(self)
    }
}

impl<E: fmt::Display> IntoOptions for Result<GatewayOptions, E> {
    fn into_options(self) -> Result<GatewayOptions, String> {
        self.map_err(|error| error.to_string())
    }
}

macro_rules! options_factory {
    ($($arg:ident),*) => {
        impl<Function, Output, $($arg),*> OptionsFactory<($($arg,)*)> for Function
        where
            Function: Fn($($arg),*) -> Output + Send + Sync + 'static,
            Output: IntoOptions,
            $($arg: Inject,)*
        {
            fn dependencies(&self) -> Vec<Dependency> {
                vec![$(Dependency::of::<$arg>("options")),*]
            }

            fn make(&self, resolver: &Resolver<'_>) -> Result<GatewayOptions, InjectError> {
                self($($arg::inject(resolver)?),*).into_options().map_err(|message| InjectError::Options {
                    gateway: resolver.owner().to_owned(),
                    message,
                })
            }
        }
    };
}

options_factory!();
options_factory!(A);
options_factory!(A, B);
options_factory!(A, B, C);
options_factory!(A, B, C, D);
