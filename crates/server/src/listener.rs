//! Accepting TCP connections and serving HTTP/1.1 on them. The listener knows no path: each request goes to a handler.
//! Errors of `accept` (no file descriptors left, say) are logged and survived.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::{Semaphore, watch};

use crate::stream::{Other, Stream};
use crate::takeover::lend;

/// Bounds of a [`Listener`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerConfig {
    /// HTTP connections open at a time; above it no further one is accepted until one ends or becomes a WebSocket or a
    /// stream of events.
    /// Default 65,536.
    pub max_connections: usize,
    /// Time within which the head of a request must have come. Default 10 s.
    pub header_timeout: Duration,
    /// How long open requests may go on after the shutdown has begun. Default 10 s.
    pub drain_timeout: Duration,
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self {
            max_connections: 65_536,
            header_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// Wait after a failed `accept`, so that a lack of file descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A bound TCP socket.
pub struct Listener {
    listener: TcpListener,
    config: ListenerConfig,
}

impl Listener {
    /// Binds `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// What the operating system says, e.g. that the port is taken.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Ok(Self::from_tcp(TcpListener::bind(address).await?))
    }

    /// A listener on a socket that is bound already.
    #[must_use]
    pub fn from_tcp(listener: TcpListener) -> Self {
        Self {
            listener,
            config: ListenerConfig::default(),
        }
    }

    /// Sets the bounds.
    #[must_use]
    pub fn with_config(mut self, config: ListenerConfig) -> Self {
        self.config = config;
        self
    }

    /// The address that is bound.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` is ready; then accepts no more, and returns when every open request is answered or the
    /// drain timeout is over. Connections that became WebSockets or streams of events are not waited for.
    pub async fn serve<H, F, B>(self, handler: H, shutdown: impl Future<Output = ()>)
    where
        H: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let permits = Arc::new(Semaphore::new(
            self.config.max_connections.min(Semaphore::MAX_PERMITS),
        ));
        // Each connection holds a receiver: it hears of the end, and its being there is counted.
        let (ending, _) = watch::channel(false);
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            // The semaphore is never closed.
            let accepted = async {
                let permit = permits.clone().acquire_owned().await.ok();
                (permit, self.listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                biased;
                () = &mut shutdown => break,
                accepted = accepted => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let connection = serve_connection(
                        stream,
                        peer,
                        handler.clone(),
                        self.config.header_timeout,
                        ending.subscribe(),
                    );
                    tokio::spawn(async move {
                        connection.await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        ending.send_replace(true);
        if tokio::time::timeout(self.config.drain_timeout, ending.closed())
            .await
            .is_err()
        {
            tracing::warn!(
                connections = ending.receiver_count(),
                "requests are still open after the drain timeout"
            );
        }
    }
}

/// Serves HTTP/1.1 on a stream that is there already, to its end: a pipe in memory, say. What an upgrade takes over goes
/// on after it.
///
/// # Errors
/// What the client did wrong, or what the stream says.
pub async fn serve_stream<S, H, F, B>(stream: S, handler: H) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (stream, loan) = lend(stream);
    let service =
        service_fn(|request| loan.answer(request, &handler, |stream| Stream::Other(Other::new(stream))));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ListenerConfig::default().header_timeout)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        outcome = connection => outcome,
        () = loan.taken() => Ok(()),
    }
}

async fn serve_connection<H, F, B>(
    stream: TcpStream,
    peer: SocketAddr,
    handler: H,
    header_timeout: Duration,
    mut ending: watch::Receiver<bool>,
) where
    H: Fn(Request<Incoming>, SocketAddr) -> F,
    F: Future<Output = Response<B>>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // Without it small frames would wait for the acknowledgement of earlier ones.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "TCP_NODELAY could not be set");
    }
    let (stream, loan) = lend(stream);
    let service = service_fn(|request| loan.answer(request, |request| handler(request, peer), Stream::from));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    // The guard that `wait_for` gives must not be held across the wait below. An error is an end, too.
    let told = async { drop(ending.wait_for(|ending| *ending).await) };
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = loan.taken() => return,
        () = told => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                outcome = connection => outcome,
                () = loan.taken() => return,
            }
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(%peer, %error, "an HTTP connection ended with an error");
    }
}
