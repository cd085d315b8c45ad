//! The wiring: a namespace with its handler, an observer of connections, listeners everywhere, and the task of the
//! statistics. None of them keeps the server.

use std::sync::Arc;

use futures_util::future::{self, BoxFuture, FutureExt};
use gatewire_hub::{ConnectError, Event, Io, NamespaceHandler, Socket};
use serde_json::json;
use tokio::runtime::Handle;

use crate::auth::Auth;
use crate::stats::{Counters, Teller};
use crate::watch::Watch;
use crate::{AdminOptions, Mode, commands};

/// Why a server could not be instrumented.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InstrumentError {
    /// What was given for the password is not its bcrypt hash.
    #[error("the password must be given as its bcrypt hash, `$2b$10$…`: {reason}")]
    InvalidHash {
        /// What is wrong with it.
        reason: String,
    },
    /// The namespace is used already, by a gateway or another call.
    #[error("the namespace `{namespace}` has a handler already: choose another one with `namespace_name`")]
    NamespaceTaken {
        /// Its name.
        namespace: String,
    },
    /// The statistics are told by a task of the tokio runtime.
    #[error("a server can only be instrumented within a tokio runtime")]
    NoRuntime,
}

/// Lets the Admin UI attach to a server. To be called before connections are served: those that are open already are not
/// counted, and sockets that are connected are listed but not watched. Namespaces may come later.
///
/// # Errors
/// If the password's hash is none, the namespace is taken, or there is no runtime; nothing has been changed then.
pub fn instrument(io: &Io, options: AdminOptions) -> Result<(), InstrumentError> {
    let runtime = Handle::try_current().map_err(|_| InstrumentError::NoRuntime)?;
    if let Some(basic) = &options.basic {
        let parts: Result<bcrypt::HashParts, _> = basic.hash.parse();
        parts.map_err(|error| InstrumentError::InvalidHash {
            reason: error.to_string(),
        })?;
    } else {
        tracing::warn!("the admin namespace `{}` is open to everybody", options.namespace);
    }

    let admin = io.of(&options.namespace);
    let handler = Admin {
        auth: options
            .basic
            .map(|basic| Arc::new(Auth::new(basic, options.store))),
        is_readonly: options.is_readonly,
    };
    if !admin.set_handler(Arc::new(handler)) {
        return Err(InstrumentError::NamespaceTaken {
            namespace: options.namespace,
        });
    }

    // Before the listener below: an admin first hears of itself, then gets the list with itself in it.
    let watch = (options.mode == Mode::Development).then(|| Watch::new(io, &admin));
    if let Some(watch) = watch.clone() {
        io.for_each_namespace(move |namespace| watch.attach(namespace));
    }
    let features = features(options.is_readonly, options.mode);
    admin.on_connection_async(move |socket| {
        socket.emit("config", &json!({ "supportedFeatures": features }));
        let watch = watch.clone();
        async move {
            if let Some(watch) = watch {
                socket.emit("all_sockets", &watch.all_sockets().await);
            }
        }
    });

    let counters = Arc::new(Counters::default());
    io.observe_connections(counters.clone());
    let teller = Teller {
        io: io.downgrade(),
        admin: admin.name().into(),
        server_id: options.server_id,
        counters,
    };
    teller.start(&runtime);
    Ok(())
}

/// What the UI may show and do.
fn features(is_readonly: bool, mode: Mode) -> Vec<&'static str> {
    let mut features = Vec::new();
    if !is_readonly {
        features.extend([
            "EMIT",
            "JOIN",
            "LEAVE",
            "DISCONNECT",
            "MJOIN",
            "MLEAVE",
            "MDISCONNECT",
        ]);
    }
    features.push("AGGREGATED_EVENTS");
    if mode == Mode::Development {
        features.push("ALL_EVENTS");
    }
    features
}

/// The namespace's handler.
struct Admin {
    auth: Option<Arc<Auth>>,
    is_readonly: bool,
}

impl NamespaceHandler for Admin {
    fn connect(&self, socket: &Socket) -> BoxFuture<'static, Result<(), ConnectError>> {
        match self.auth.clone() {
            Some(auth) => {
                let socket = socket.clone();
                async move { auth.authenticate(&socket).await }.boxed()
            }
            None => future::ready(Ok(())).boxed(),
        }
    }

    fn event(&self, socket: &Socket, event: Event<'_>) -> Option<BoxFuture<'static, ()>> {
        if !self.is_readonly {
            commands::run(socket.namespace().io(), &event);
        }
        None
    }
}
