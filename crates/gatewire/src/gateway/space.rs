//! Where gateways are: one namespace, or all those of a pattern.

use std::sync::Arc;

use gatewire_hub::{Io, NamespacePattern};

use super::NamespaceGateways;
use crate::{ParentServer, Server};

/// One namespace, or those of a pattern, which come into being when clients ask for them.
#[derive(Clone)]
pub(crate) enum Space {
    One(Server),
    Pattern(ParentServer),
}

/// Whether a namespace of gateways stands for many.
pub(crate) fn is_pattern(namespace: &str) -> bool {
    NamespacePattern::new(namespace).has_params()
}

impl Space {
    /// Makes it. Those with a name are to be made before the patterns, so that they are nobody's children.
    pub(crate) fn open(io: &Io, name: &str) -> Self {
        if is_pattern(name) {
            Self::Pattern(io.of_pattern(name))
        } else {
            Self::One(io.of(name))
        }
    }

    /// Gives it its gateways, and runs their `after_init`.
    pub(crate) async fn serve(&self, gateways: Arc<NamespaceGateways>) {
        match self {
            Self::One(server) => {
                gateways.init(server).await;
                server.set_handler(gateways);
            }
            // The check at start has refused an `after_init`.
            Self::Pattern(parent) => {
                parent.set_handler(gateways);
            }
        }
    }
}
