//! Platform adapters: what speaks to the clients. Socket.IO is the default; plain WebSockets are the other; both may serve
//! the same gateways at once.

mod socketio;
mod ws;

use std::sync::Arc;

use gatewire_hub::Io;
use gatewire_hub::cluster::SessionBus;
use gatewire_server::ConfigError;

use crate::endpoint::Endpoint;
use crate::gateway::Cors;
use crate::gateway::plan::ServerPlan;

pub use gatewire_proto::envelope;
pub use gatewire_server::{
    CloseCode, Cookie, DeflateOptions, Hooks, Limits, SameSite, SharingConfig, SlowConsumer,
};
pub use socketio::SocketIoAdapter;
pub use ws::WsAdapter;

/// One adapter, or both; what [`App::use_websocket_adapter`](crate::App::use_websocket_adapter) takes.
///
/// ```
/// use gatewire::adapter::Adapter;
/// use gatewire::prelude::*;
///
/// let both = Adapter::from((SocketIoAdapter::new(), WsAdapter::at("/ws")));
/// ```
#[derive(Clone, Debug)]
pub struct Adapter {
    pub(crate) socketio: Option<SocketIoAdapter>,
    pub(crate) ws: Option<WsAdapter>,
}

impl Adapter {
    /// What answers the clients of one server; `cors` is the application's, and `bus` its cluster's.
    pub(crate) fn endpoints(
        &self,
        plan: &ServerPlan,
        io: &Io,
        cors: Option<&Cors>,
        bus: Option<&Arc<dyn SessionBus>>,
    ) -> Result<Vec<Endpoint>, ConfigError> {
        let mut endpoints = Vec::new();
        if let Some(adapter) = &self.socketio {
            endpoints.push(Endpoint::SocketIo(adapter.engine(plan, io.clone(), cors, bus)?));
        }
        if let Some(adapter) = &self.ws {
            endpoints.push(Endpoint::Ws(Box::new(adapter.endpoint(
                plan,
                io.clone(),
                cors,
            )?)));
        }
        Ok(endpoints)
    }
}

impl Default for Adapter {
    fn default() -> Self {
        SocketIoAdapter::default().into()
    }
}

impl From<SocketIoAdapter> for Adapter {
    fn from(adapter: SocketIoAdapter) -> Self {
        Self {
            socketio: Some(adapter),
            ws: None,
        }
    }
}

impl From<WsAdapter> for Adapter {
    fn from(adapter: WsAdapter) -> Self {
        Self {
            socketio: None,
            ws: Some(adapter),
        }
    }
}

impl From<(SocketIoAdapter, WsAdapter)> for Adapter {
    fn from((socketio, ws): (SocketIoAdapter, WsAdapter)) -> Self {
        Self {
            socketio: Some(socketio),
            ws: Some(ws),
        }
    }
}

#[cfg(test)]
mod tests {
    use gatewire_hub::HubConfig;

    use super::*;
    use crate::gateway::plan::NamespacePlan;

    #[test]
    fn an_endpoint_tells_where_it_is() {
        let namespaces = ["/", "/chat", "/room-:id"].map(|name| NamespacePlan {
            name: name.into(),
            codec: None,
            gateways: Vec::new(),
        });
        let plan = ServerPlan {
            port: None,
            path: "/socket.io".to_owned(),
            options: Default::default(),
            namespaces: namespaces.into(),
        };
        let io = Io::new(HubConfig::default());
        let both = Adapter::from((SocketIoAdapter::new(), WsAdapter::at("/ws")));
        let told: Vec<String> = both
            .endpoints(&plan, &io, None, None)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            told,
            [
                "Socket.IO at /socket.io/",
                "plain WebSockets at /ws, /ws/chat, /ws/room-:id"
            ]
        );
    }
}
