//! The servers that whole connections are made to: what they answer, and what their sockets do.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use gatewire_hub::Socket;
use gatewire_server::{Engine, WebSocketServer};
use http::{Request, Response};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;

use crate::listeners;

/// Every deadline of a server: the wheel of the timer turns a hundred times in the shortest of them.
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// The body of an answer, whichever server it is of.
pub(crate) type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// A response with the body of any server.
pub(crate) fn boxed<B>(response: Response<B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    response.map(|body| body.map_err(Into::into).boxed_unsync())
}

/// What answers requests.
pub(crate) trait Server: Clone + 'static {
    /// Answers one request.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response<Body>>;

    /// Clients that are there.
    fn clients(&self) -> usize;
}

impl Server for Engine {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        boxed(self.handle(request, None).await)
    }

    fn clients(&self) -> usize {
        self.clients_count()
    }
}

impl Server for WebSocketServer {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        boxed(self.handle(request, None).await)
    }

    fn clients(&self) -> usize {
        self.clients_count()
    }
}

/// What every socket does: it asks its client when it is asked, and puts it out when it says that it leaves.
pub(crate) fn listen(socket: &Socket) {
    listeners::ask(socket);
    socket.on("leave", |socket, _| socket.disconnect(true));
}

/// The same, and it answers `echo` with what came, as an event and as the answer.
pub(crate) fn listen_and_echo(socket: &Socket) {
    listen(socket);
    socket.on("echo", |socket, event| {
        socket.emit_payload("echo", &event.to_payload());
        event.answer(socket, &event.to_payload());
    });
}
