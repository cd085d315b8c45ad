//! The options of one Engine.IO server, with the defaults of the Node server, and their check.

use std::path::PathBuf;
use std::time::Duration;

use gatewire_proto::engineio::TransportKind;
use gatewire_proto::websocket::DeflateOptions;

use crate::client_files::ClientFilesError;
use crate::cookie::Cookie;
use crate::cors::Cors;
use crate::origin::Origin;
use crate::slow_consumer::SlowConsumer;

/// The options of one [`Engine`](crate::Engine). Defaults are those of the Node server.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineConfig {
    /// Requests whose path starts with this, followed by `/`, belong to the engine. Default `/socket.io`.
    pub path: String,
    /// The transports a client may use. Default polling and WebSocket.
    pub transports: Vec<TransportKind>,
    /// Whether a session may move from polling to WebSocket. Default true.
    pub allow_upgrades: bool,
    /// Whether clients of Engine.IO 3, that is, of Socket.IO 2, are served, too. Default false.
    pub allow_eio3: bool,
    /// Whether clients may poll by `<script>` tags (JSONP, the query parameter `j`), which some of Socket.IO 2 do. A
    /// script is read across origins and comes without an `Origin`: its page is known by its `Referer`, and one without is
    /// refused unless [`cors`](Self::cors) lets every origin in. Default true; without, the parameter says nothing.
    pub allow_jsonp: bool,
    /// Time from a pong (or from the open packet) to the next ping. Default 25 s.
    pub ping_interval: Duration,
    /// Time within which a ping must be answered. Default 20 s.
    pub ping_timeout: Duration,
    /// Time within which a begun upgrade must end. Default 10 s.
    pub upgrade_timeout: Duration,
    /// Time within which a client must have joined a namespace. Default 45 s.
    pub connect_timeout: Duration,
    /// Largest message, and largest body of a polling POST, in bytes; announced to the client. Default 1,000,000.
    pub max_payload: usize,
    /// Which pages of other origins may connect, by polling or by WebSocket. `None` lets in those of the server's own origin
    /// alone (the `Origin` is the `Host` of the request), and sends no CORS header; others get 403. Who sends no `Origin`
    /// is no browser, and is let in. Default `None`.
    pub cors: Option<Cors>,
    /// Bytes from which a polling response is compressed if the client accepts gzip or deflate; `None` compresses none.
    /// Default 1,024.
    pub http_compression: Option<usize>,
    /// Compression of WebSocket messages (permessage-deflate, RFC 7692) for clients that offer it; `None` accepts no
    /// offer. Default `None`: it costs time for each message, and gains nothing below some hundred bytes.
    pub per_message_deflate: Option<DeflateOptions>,
    /// The cookie with the session id that a polling handshake sets. Default `None`.
    pub cookie: Option<Cookie>,
    /// The folder with the browser bundles of the official client (the `dist` folder of an installed `socket.io-client`),
    /// to be served below the path as `socket.io.js` and its variants. Default `None`: they are not served.
    pub client_files: Option<PathBuf>,
    /// Whether the path of a request must go on with a slash after [`path`](Self::path). Default true.
    pub add_trailing_slash: bool,
    /// The bounds that have no counterpart in the protocol.
    pub limits: Limits,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            path: "/socket.io".to_owned(),
            transports: vec![TransportKind::Polling, TransportKind::WebSocket],
            allow_upgrades: true,
            allow_eio3: false,
            allow_jsonp: true,
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(45),
            max_payload: 1_000_000,
            cors: None,
            http_compression: Some(1_024),
            per_message_deflate: None,
            cookie: None,
            client_files: None,
            add_trailing_slash: true,
            limits: Limits::default(),
        }
    }
}

impl EngineConfig {
    /// What the path of each request starts with.
    pub(crate) fn prefix(&self) -> String {
        let slash = if self.add_trailing_slash { "/" } else { "" };
        format!("/{}{slash}", self.path.trim_matches('/'))
    }

    pub(crate) fn allows(&self, transport: TransportKind) -> bool {
        self.transports.contains(&transport)
    }

    /// The upgrades that the open packet of a session on `transport` announces.
    pub(crate) fn upgrades(&self, transport: TransportKind) -> &'static [TransportKind] {
        let upgradable = self.allow_upgrades
            && transport == TransportKind::Polling
            && self.allows(TransportKind::WebSocket);
        if upgradable {
            &[TransportKind::WebSocket]
        } else {
            &[]
        }
    }

    /// The shortest of the deadlines that the timer wheel keeps.
    pub(crate) fn shortest_deadline(&self) -> Duration {
        self.ping_interval
            .min(self.ping_timeout)
            .min(self.connect_timeout)
            .min(self.upgrade_timeout)
    }

    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// The first option that makes no sense, with the value that was given.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for (option, value) in [
            ("ping_interval", self.ping_interval),
            ("ping_timeout", self.ping_timeout),
            ("upgrade_timeout", self.upgrade_timeout),
            ("connect_timeout", self.connect_timeout),
        ] {
            if value.is_zero() {
                return Err(ConfigError::Zero { option });
            }
        }
        if self.max_payload == 0 {
            return Err(ConfigError::Zero {
                option: "max_payload",
            });
        }
        if self.transports.is_empty() {
            return Err(ConfigError::NoTransport);
        }
        if self.path.contains(['?', '#']) {
            return Err(ConfigError::Path {
                path: self.path.clone(),
            });
        }
        if let Some(cors) = &self.cors {
            check_origin(&cors.origin)?;
        }
        if let Some(deflate) = &self.per_message_deflate {
            check_deflate(deflate)?;
        }
        if let Some(cookie) = &self.cookie
            && !cookie.is_valid()
        {
            return Err(ConfigError::Cookie {
                name: cookie.name.clone(),
            });
        }
        Ok(())
    }
}

pub(crate) fn check_origin(origin: &Origin) -> Result<(), ConfigError> {
    match origin.malformed() {
        Some(origin) => Err(ConfigError::Origin {
            origin: origin.to_owned(),
        }),
        None => Ok(()),
    }
}

pub(crate) fn check_deflate(options: &DeflateOptions) -> Result<(), ConfigError> {
    for (option, value, min, max) in [
        ("level", options.level, 1, 9),
        ("server_max_window_bits", options.server_max_window_bits, 9, 15),
        ("client_max_window_bits", options.client_max_window_bits, 8, 15),
    ] {
        if !(min..=max).contains(&value) {
            return Err(ConfigError::Deflate {
                option,
                value,
                min,
                max,
            });
        }
    }
    Ok(())
}

/// Bounds on what one client, or all together, may make the server keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that may wait for one connection to take them; then [`slow_consumer`](Self::slow_consumer) says what happens.
    /// Default 64 MiB.
    pub max_outbox: usize,
    /// Bytes that may wait for all connections of the server together, without the first 64 KiB of each; whoever would be
    /// above it is closed as by `max_outbox`. A message that many have still to take counts for each of them, though
    /// it is kept once. Default `None`: no bound but that of each connection.
    pub max_outbox_total: Option<usize>,
    /// What becomes of a client that does not take what it is sent. Default: its connection is closed.
    pub slow_consumer: SlowConsumer,
    /// Fragments of one WebSocket message. Default 100,000.
    pub max_fragments: usize,
    /// Packets in the body of one polling POST. Default 16,384.
    pub max_packets_per_payload: usize,
    /// Sessions open at a time; further handshakes are answered with 503. Default 250,000.
    pub max_sessions: usize,
    /// How long a closed WebSocket waits for the peer's answer before TCP is closed, and a server that shuts down for the
    /// next GET of a session on polling. Default 5 s.
    pub close_timeout: Duration,
    /// How long a session that the server closed on polling waits for a GET to take the last packets. Default 30 s.
    pub polling_close_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_outbox: 64 << 20,
            max_outbox_total: None,
            slow_consumer: SlowConsumer::default(),
            max_fragments: 100_000,
            max_packets_per_payload: 16_384,
            max_sessions: 250_000,
            close_timeout: Duration::from_secs(5),
            polling_close_timeout: Duration::from_secs(30),
        }
    }
}

/// An option of [`EngineConfig`] that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The client's bundles cannot be served.
    #[error(transparent)]
    ClientFiles(#[from] ClientFilesError),
    /// A time or a size of zero.
    #[error("the option `{option}` is 0: give it a value above 0")]
    Zero {
        /// The option's name.
        option: &'static str,
    },
    /// A parameter of the compression outside its range.
    #[error("the option `{option}` of `per_message_deflate` is {value}: give it a value from {min} to {max}")]
    Deflate {
        /// The option's name.
        option: &'static str,
        /// The value as given.
        value: u8,
        /// The least that is allowed.
        min: u8,
        /// The most that is allowed.
        max: u8,
    },
    /// An origin that no browser sends.
    #[error(
        "`{origin}` is no origin: write it as browsers do, scheme and host with nothing behind, e.g. `https://app.example`"
    )]
    Origin {
        /// The origin as given.
        origin: String,
    },
    /// More subprotocols than a connection can remember one of.
    #[error("the option `protocols` names {count} subprotocols: name at most 255")]
    Protocols {
        /// How many there are.
        count: usize,
    },
    /// An empty list of transports.
    #[error("the engine option `transports` is empty: name \"polling\", \"websocket\" or both")]
    NoTransport,
    /// A cookie whose name, path or domain cannot stand in a header.
    #[error("the name, path or domain of the cookie `{name}` holds a character that a cookie must not have")]
    Cookie {
        /// The cookie's name as given.
        name: String,
    },
    /// A path that cannot be the path of a URL.
    #[error("the engine path `{path}` holds a `?` or a `#`: give the path alone")]
    Path {
        /// The path as given.
        path: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_get_their_slashes() {
        for (given, wanted) in [
            ("/socket.io", "/socket.io/"),
            ("/socket.io/", "/socket.io/"),
            ("ws/a", "/ws/a/"),
        ] {
            let config = EngineConfig {
                path: given.to_owned(),
                ..EngineConfig::default()
            };
            assert_eq!(config.prefix(), wanted);
            let bare = EngineConfig {
                add_trailing_slash: false,
                ..config
            };
            assert_eq!(bare.prefix(), wanted.trim_end_matches('/'));
        }
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let zero = EngineConfig {
            ping_timeout: Duration::ZERO,
            ..EngineConfig::default()
        };
        assert_eq!(
            zero.validate(),
            Err(ConfigError::Zero {
                option: "ping_timeout"
            })
        );
        let silent = EngineConfig {
            transports: vec![],
            ..EngineConfig::default()
        };
        assert_eq!(silent.validate(), Err(ConfigError::NoTransport));
        let shallow = EngineConfig {
            per_message_deflate: Some(DeflateOptions {
                server_max_window_bits: 8,
                ..DeflateOptions::default()
            }),
            ..EngineConfig::default()
        };
        assert_eq!(
            shallow.validate(),
            Err(ConfigError::Deflate {
                option: "server_max_window_bits",
                value: 8,
                min: 9,
                max: 15
            })
        );
        assert_eq!(EngineConfig::default().validate(), Ok(()));
    }

    #[test]
    fn only_polling_sessions_are_told_of_an_upgrade() {
        let config = EngineConfig::default();
        assert_eq!(
            config.upgrades(TransportKind::Polling),
            [TransportKind::WebSocket]
        );
        assert!(config.upgrades(TransportKind::WebSocket).is_empty());
        let fixed = EngineConfig {
            allow_upgrades: false,
            ..EngineConfig::default()
        };
        assert!(fixed.upgrades(TransportKind::Polling).is_empty());
    }
}
