//! Platform adapters: what speaks to the clients. Socket.IO is the one there is, and the default.

mod socketio;

pub use gatewire_server::{Cookie, DeflateOptions, Hooks, Limits, SameSite};
pub use socketio::SocketIoAdapter;

/// Any adapter; what [`App::use_websocket_adapter`](crate::App::use_websocket_adapter) takes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Adapter {
    /// Socket.IO over WebSocket and HTTP long-polling.
    SocketIo(SocketIoAdapter),
}

impl Default for Adapter {
    fn default() -> Self {
        Self::SocketIo(SocketIoAdapter::default())
    }
}

impl From<SocketIoAdapter> for Adapter {
    fn from(adapter: SocketIoAdapter) -> Self {
        Self::SocketIo(adapter)
    }
}
