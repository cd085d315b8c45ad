//! What a server does in its main namespace: `io.emit(…)` is short for `io.sockets().emit(…)`, as in the Node server.
//! Nothing is decided here.

use std::time::Duration;

use serde::Serialize;

use crate::selection::IntoRooms;
use crate::{
    Broadcast, BroadcastAckRequest, ConnectError, EmitError, Io, Namespace, Payload, RemoteSocket,
    ServerSideEvent, ServerSideRequest, Socket,
};

/// The main namespace, `/`: each call is the namespace's of the same name.
///
/// ```
/// # use gatewire_hub::Io;
/// # let io = Io::default();
/// io.on_connection(|socket| socket.join("lobby"));
/// io.emit("news", &"to everyone");
/// io.to("lobby").except("muted").emit("news", &"to some");
/// ```
impl Io {
    /// See [`Namespace::use_middleware`].
    pub fn use_middleware<F, Fut>(&self, middleware: F)
    where
        F: Fn(Socket) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), ConnectError>> + Send + 'static,
    {
        self.sockets().use_middleware(middleware);
    }

    /// See [`Namespace::on_connection`].
    pub fn on_connection(&self, listener: impl Fn(&Socket) + Send + Sync + 'static) {
        self.sockets().on_connection(listener);
    }

    /// See [`Namespace::on_connection_async`].
    pub fn on_connection_async<F, Fut>(&self, listener: F)
    where
        F: Fn(Socket) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.sockets().on_connection_async(listener);
    }

    /// See [`Namespace::emit`].
    pub fn emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) {
        self.sockets().emit(event, data);
    }

    /// See [`Namespace::try_emit`].
    ///
    /// # Errors
    /// If the data cannot be JSON, or the name is reserved.
    pub fn try_emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<(), EmitError> {
        self.sockets().try_emit(event, data)
    }

    /// See [`Namespace::emit_args`].
    pub fn emit_args<T: Serialize + ?Sized>(&self, event: &str, args: &T) {
        self.sockets().emit_args(event, args);
    }

    /// See [`Namespace::emit_payload`].
    pub fn emit_payload(&self, event: &str, payload: &Payload) {
        self.sockets().emit_payload(event, payload);
    }

    /// See [`Namespace::emit_with_ack`].
    pub fn emit_with_ack<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> BroadcastAckRequest {
        self.sockets().emit_with_ack(event, data)
    }

    /// See [`Namespace::emit_args_with_ack`].
    pub fn emit_args_with_ack<T: Serialize + ?Sized>(&self, event: &str, args: &T) -> BroadcastAckRequest {
        self.sockets().emit_args_with_ack(event, args)
    }

    /// See [`Namespace::to`].
    pub fn to(&self, rooms: impl IntoRooms) -> Broadcast {
        self.sockets().to(rooms)
    }

    /// See [`Namespace::in_room`].
    pub fn in_room(&self, rooms: impl IntoRooms) -> Broadcast {
        self.sockets().in_room(rooms)
    }

    /// See [`Namespace::except`].
    pub fn except(&self, rooms: impl IntoRooms) -> Broadcast {
        self.sockets().except(rooms)
    }

    /// See [`Namespace::volatile`].
    pub fn volatile(&self) -> Broadcast {
        self.sockets().volatile()
    }

    /// See [`Namespace::compress`].
    pub fn compress(&self, compress: bool) -> Broadcast {
        self.sockets().compress(compress)
    }

    /// See [`Namespace::local`].
    pub fn local(&self) -> Broadcast {
        self.sockets().local()
    }

    /// See [`Namespace::timeout`].
    pub fn timeout(&self, timeout: Duration) -> Broadcast {
        self.sockets().timeout(timeout)
    }

    /// See [`Namespace::fetch_sockets`].
    pub async fn fetch_sockets(&self) -> Vec<RemoteSocket> {
        self.sockets().fetch_sockets().await
    }

    /// See [`Namespace::sockets_join`].
    pub fn sockets_join(&self, rooms: impl IntoRooms) {
        self.sockets().sockets_join(rooms);
    }

    /// See [`Namespace::sockets_leave`].
    pub fn sockets_leave(&self, rooms: impl IntoRooms) {
        self.sockets().sockets_leave(rooms);
    }

    /// See [`Namespace::disconnect_sockets`].
    pub fn disconnect_sockets(&self, close: bool) {
        self.sockets().disconnect_sockets(close);
    }

    /// See [`Namespace::server_side_emit`].
    ///
    /// # Errors
    /// If the data cannot be JSON, or the name is `connect`, `connection` or `new_namespace`.
    pub fn server_side_emit<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<(), EmitError> {
        self.sockets().server_side_emit(event, data)
    }

    /// See [`Namespace::server_side_emit_args`].
    ///
    /// # Errors
    /// If the arguments cannot be JSON, are no sequence, or the name is reserved.
    pub fn server_side_emit_args<T: Serialize + ?Sized>(
        &self,
        event: &str,
        args: &T,
    ) -> Result<(), EmitError> {
        self.sockets().server_side_emit_args(event, args)
    }

    /// See [`Namespace::server_side_emit_with_ack`].
    pub fn server_side_emit_with_ack<T: Serialize + ?Sized>(
        &self,
        event: &str,
        data: &T,
    ) -> ServerSideRequest {
        self.sockets().server_side_emit_with_ack(event, data)
    }

    /// See [`Namespace::server_side_emit_args_with_ack`].
    pub fn server_side_emit_args_with_ack<T: Serialize + ?Sized>(
        &self,
        event: &str,
        args: &T,
    ) -> ServerSideRequest {
        self.sockets().server_side_emit_args_with_ack(event, args)
    }

    /// See [`Namespace::on_server_side`].
    pub fn on_server_side(
        &self,
        event: &str,
        listener: impl Fn(&Namespace, &ServerSideEvent) + Send + Sync + 'static,
    ) {
        self.sockets().on_server_side(event, listener);
    }
}
