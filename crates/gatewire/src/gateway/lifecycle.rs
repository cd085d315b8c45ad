//! The lifecycle hooks. Implementing a trait for a gateway is all it takes: the expansion of `#[websocket_gateway]`
//! finds it.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::pipeline::WsException;
use crate::{DisconnectReason, Server, Socket};

/// Called once, when the gateway's namespace is ready and before anything is served.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no `after_init` hook",
    note = "write `impl OnGatewayInit for {Self} {{ async fn after_init(&self, server: &Server) {{ .. }} }}`"
)]
pub trait OnGatewayInit {
    /// The hook; the application starts when it has ended.
    fn after_init(&self, server: &Server) -> impl Future<Output = ()> + Send;
}

/// Called for each client, before it is told that it is connected and before any of its messages is handled.
///
/// With [connection state recovery](gatewire_hub::HubConfig::connection_state_recovery) it is left out for a client that
/// comes back ([`Socket::recovered`]), which has its rooms and values already; with `skip_middlewares: false` it is
/// called for such a client, too. `handle_disconnect` is called each time the connection is lost.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no `handle_connection` hook",
    note = "write `impl OnGatewayConnection for {Self} {{ async fn handle_connection(&self, client: &Socket) -> Result<(), WsException> {{ .. }} }}`"
)]
pub trait OnGatewayConnection {
    /// The hook.
    ///
    /// What is emitted to `client` meanwhile reaches it after the confirmation.
    ///
    /// # Errors
    /// Refuses the client: it gets a `connect_error` with the exception's message, and its object as `data`.
    fn handle_connection(&self, client: &Socket) -> impl Future<Output = Result<(), WsException>> + Send;
}

/// Called when a client that was connected has left, while its rooms are still known.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no `handle_disconnect` hook",
    note = "write `impl OnGatewayDisconnect for {Self} {{ async fn handle_disconnect(&self, client: &Socket, reason: DisconnectReason) {{ .. }} }}`"
)]
pub trait OnGatewayDisconnect {
    /// The hook.
    fn handle_disconnect(&self, client: &Socket, reason: DisconnectReason)
    -> impl Future<Output = ()> + Send;
}

/// The hooks that a gateway has, as plain functions.
pub struct Hooks<G> {
    /// [`OnGatewayInit::after_init`].
    pub init: Option<InitHook<G>>,
    /// [`OnGatewayConnection::handle_connection`].
    pub connection: Option<ConnectionHook<G>>,
    /// [`OnGatewayDisconnect::handle_disconnect`].
    pub disconnect: Option<DisconnectHook<G>>,
}

/// Runs `after_init`.
pub type InitHook<G> = fn(Arc<G>, Server) -> BoxFuture<'static, ()>;
/// Runs `handle_connection`.
pub type ConnectionHook<G> = fn(Arc<G>, Socket) -> BoxFuture<'static, Result<(), WsException>>;
/// Runs `handle_disconnect`.
pub type DisconnectHook<G> = fn(Arc<G>, Socket, DisconnectReason) -> BoxFuture<'static, ()>;
