//! Plain WebSockets for the whole application: any client of RFC 6455, with one message an event.

use std::time::Duration;

use gatewire_hub::{Io, PlainFormat, PlainFormats};
use gatewire_proto::envelope::{JsonCodec, MessageCodec};
use gatewire_server::{
    ConfigError, DeflateOptions, Hooks, Limits, PlainSockets, WebSocketConfig, WebSocketServer,
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::endpoint::WsEndpoint;
use crate::gateway::plan::ServerPlan;
use crate::gateway::{Codec, Cors};

/// The path of Socket.IO, which means none here.
const SOCKET_IO: &str = "/socket.io";

/// What clients encode in the path of a URL (WHATWG URL, the path percent-encode set), and the sign for it: an axum router
/// compares paths as they come.
const IN_URL: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// Serves the gateways to plain WebSocket clients (RFC 6455): browsers, devices, any library. A message is
/// `{"event":"name","data":…}` in both directions, unless a [codec](Self::codec) says otherwise; one with an `"id"` gets
/// an answer that carries it back. Rooms, broadcasts and everything else of a [`Socket`](crate::Socket) are the same as
/// with Socket.IO.
///
/// A gateway is found at its `path`, or at `/`, or where [`at`](Self::at) says, and one with a namespace at that name below:
/// `/chat` of an adapter at `/ws` is `ws://host/ws/chat`. What a client would send as `auth` with Socket.IO is the query of
/// its URL here.
///
/// ```
/// use std::time::Duration;
/// use gatewire::prelude::*;
///
/// let adapter = WsAdapter::at("/ws").ping_interval(Duration::from_secs(10)).max_message_size(100_000);
/// ```
#[derive(Clone, Debug)]
pub struct WsAdapter {
    path: Option<String>,
    cors: Option<Cors>,
    config: WebSocketConfig,
    codec: Codec,
    own_codecs: Vec<(String, Codec)>,
    max_faults: usize,
    hooks: Hooks,
}

impl Default for WsAdapter {
    fn default() -> Self {
        Self {
            path: None,
            cors: None,
            config: WebSocketConfig::default(),
            codec: Codec::new(JsonCodec),
            own_codecs: Vec::new(),
            max_faults: 10,
            hooks: Hooks::new(),
        }
    }
}

impl WsAdapter {
    /// At the paths of the gateways, `/` for one that has none.
    pub fn new() -> Self {
        Self::default()
    }

    /// At `path`, whatever the gateways say: beside Socket.IO, whose path is theirs.
    pub fn at(path: impl Into<String>) -> Self {
        let path = path.into();
        let path = path.trim_end_matches('/');
        Self {
            path: Some(if path.is_empty() || path.starts_with('/') {
                path.to_owned()
            } else {
                format!("/{path}")
            }),
            ..Self::default()
        }
    }

    /// The form of the messages. Default the envelope `{"event":…,"data":…}`, [`JsonCodec`](gatewire_proto::envelope::JsonCodec).
    #[must_use]
    pub fn codec(mut self, codec: impl MessageCodec) -> Self {
        self.codec = Codec::new(codec);
        self
    }

    /// Another form for the gateways of one namespace. What a gateway itself says (`codec = ..`) goes before.
    #[must_use]
    pub fn codec_of(mut self, namespace: impl Into<String>, codec: impl MessageCodec) -> Self {
        self.own_codecs.push((namespace.into(), Codec::new(codec)));
        self
    }

    /// The subprotocols that the server speaks: the first one of the client's list that is among them is agreed on. Without
    /// one the connection goes on all the same. Default none.
    #[must_use]
    pub fn handle_protocols<P: Into<String>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.config.protocols = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// Time from a pong to the next ping. Default 25 s.
    #[must_use]
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.config.ping_interval = interval;
        self
    }

    /// Time for a pong to come; without one the connection is closed. Default 20 s.
    #[must_use]
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.config.ping_timeout = timeout;
        self
    }

    /// Time within which a client must send a message, again after each. Default `None`: it may be silent.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.config.idle_timeout = timeout;
        self
    }

    /// Bytes that one message may have. Default 1,000,000.
    #[must_use]
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.config.max_message = bytes;
        self
    }

    /// How many messages of one client may be none (not JSON, no event, an event that no gateway has, a body of the wrong
    /// type) before its connection is closed with 1008; each is told by an `exception`, or by the answer that it asks for.
    /// Default 10.
    #[must_use]
    pub fn max_faults(mut self, max_faults: usize) -> Self {
        self.max_faults = max_faults;
        self
    }

    /// Which pages of other origins may connect; others get 403. Without it the application's
    /// ([`App::enable_cors`](crate::App::enable_cors)).
    #[must_use]
    pub fn cors(mut self, cors: Cors) -> Self {
        self.cors = Some(cors);
        self
    }

    /// Compression of messages (permessage-deflate, RFC 7692) for clients that offer it. Default `None`.
    #[must_use]
    pub fn per_message_deflate(mut self, options: Option<DeflateOptions>) -> Self {
        self.config.per_message_deflate = options;
        self
    }

    /// The bounds that protect the server: connections, bytes that wait to be sent, and the like.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// A say in the handshake: who is let in, and which headers go out.
    #[must_use]
    pub fn hooks(mut self, hooks: Hooks) -> Self {
        self.hooks = hooks;
        self
    }

    /// What answers the clients of one server, for which `cors` is what counts if nobody says more.
    pub(crate) fn endpoint(
        &self,
        plan: &ServerPlan,
        io: Io,
        cors: Option<&Cors>,
    ) -> Result<WsEndpoint, ConfigError> {
        let base = match &self.path {
            Some(path) => path,
            None if plan.path == SOCKET_IO => "",
            None => &plan.path,
        };
        let cors = plan.options.cors.as_ref().or(self.cors.as_ref()).or(cors);
        let config = WebSocketConfig {
            origin: cors.map(|cors| cors.origin.clone()),
            ..self.config.clone()
        };
        let format = |codec: &Codec| PlainFormat::new(codec.0.clone()).max_faults(self.max_faults);
        let of_gateways = plan
            .namespaces
            .iter()
            .filter_map(|namespace| Some((&*namespace.name, namespace.codec.as_ref()?)));
        let of_adapter = self.own_codecs.iter().map(|(name, codec)| (&**name, codec));
        let formats = of_gateways.chain(of_adapter).fold(
            PlainFormats::new(format(&self.codec)),
            |formats, (name, codec)| formats.with(name, format(codec)),
        );
        let sockets = PlainSockets::new(io, base, formats);
        let server = WebSocketServer::with_hooks(config, self.hooks.clone(), sockets.clone())?;
        let routes_of = |namespace: &str| match namespace {
            "/" => vec![format!("{base}/")],
            // Whose names are known when clients come.
            name if name.contains([':', '*']) => vec![format!("{base}/{{*rest}}")],
            name => {
                let name = utf8_percent_encode(name, IN_URL);
                vec![format!("{base}{name}"), format!("{base}{name}/")]
            }
        };
        let mut routes: Vec<String> = plan
            .namespaces
            .iter()
            .flat_map(|namespace| routes_of(&namespace.name))
            .chain((!base.is_empty()).then(|| base.to_owned()))
            .collect();
        routes.sort();
        routes.dedup();
        let places = plan.namespaces.iter().map(|namespace| match &*namespace.name {
            "/" if base.is_empty() => "/".to_owned(),
            "/" => base.to_owned(),
            name => format!("{base}{name}"),
        });
        let places = places.collect();
        Ok(WsEndpoint {
            sockets,
            server,
            routes,
            places,
        })
    }
}
