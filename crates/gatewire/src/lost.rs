//! Clients that look for their server where it is not: a plain WebSocket at a path that no gateway has, a client of Socket.IO
//! where only plain WebSockets are served. They read a 404, which says nothing; the log tells where clients connect.

use std::sync::atomic::{AtomicBool, Ordering};

use http::{Request, Uri};

use crate::endpoint::{Endpoint, is_upgrade};

/// Whether one has been told of where everybody sees it.
#[derive(Default)]
pub(crate) struct Lost {
    told: AtomicBool,
}

impl Lost {
    /// Who sends a request that none of the endpoints takes, if it looks for one.
    pub(crate) fn who<B>(request: &Request<B>) -> Option<&'static str> {
        let query = request.uri().query().unwrap_or_default();
        if query.split('&').any(|pair| pair.starts_with("EIO=")) {
            Some("a client of Socket.IO")
        } else if is_upgrade(request) {
            Some("a WebSocket")
        } else {
            None
        }
    }

    pub(crate) fn tell(&self, who: &str, uri: &Uri, endpoints: &[Endpoint]) {
        // A port without gateways, on which nobody can be told where to go.
        if endpoints.is_empty() {
            return;
        }
        let path = uri.path();
        if self.told.swap(true, Ordering::Relaxed) {
            tracing::debug!(target: "gatewire", context = "App", "{who} finds nobody at {path}");
        } else {
            let places: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
            tracing::warn!(
                target: "gatewire", context = "App",
                "{who} finds nobody at {path}: on this port there are {}; further ones are logged at the level debug",
                places.join("; ")
            );
        }
    }
}
