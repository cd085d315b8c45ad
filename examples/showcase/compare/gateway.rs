//! The fourth way: a gateway that sends on what changes.

use gatewire::prelude::*;
use tokio::sync::broadcast::error::RecvError;

use super::source::Source;
use crate::clock;

/// Tells `sample`; speaks `clock`.
#[websocket_gateway(namespace = "/compare")]
pub(crate) struct CompareGateway {
    source: Arc<Source>,
}

#[subscriptions]
impl CompareGateway {
    /// What time it is here: by the round trip the page knows how far its own clock is off.
    #[subscribe_message("clock")]
    fn clock(&self) -> f64 {
        clock::millis()
    }
}

impl OnGatewayInit for CompareGateway {
    async fn after_init(&self, server: &Server) {
        let server = server.clone();
        let mut changes = self.source.changes();
        tokio::spawn(async move {
            loop {
                match changes.recv().await {
                    Ok(sample) => server.emit("sample", &sample),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        });
    }
}
