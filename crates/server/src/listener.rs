//! Accepting TCP connections, with TLS or without, and serving HTTP on them. The listener knows no path: each request goes
//! to a handler. Errors of `accept` (no file descriptors left, say) are logged and survived.

use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
#[cfg(unix)]
use tokio::net::TcpSocket;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs, lookup_host};
use tokio::sync::{Semaphore, watch};

use crate::accepting::Failures;
use crate::http::Body;
use crate::http1::serve;
use crate::reception::Reception;
use crate::serving::Serving;
use crate::stream::{Other, Stream};
use crate::tls::Tls;
use gatewire_hub::task;

/// Bounds of a [`Listener`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerConfig {
    /// HTTP connections open at a time, handshakes of TLS included; above it no further one is accepted until one ends or
    /// becomes a WebSocket or a stream of events; one with HTTP/2 counts as long as it is there. Default 65,536.
    pub max_connections: usize,
    /// Time within which the head of a request must have come; with HTTP/2, that of the first one. Default 10 s.
    pub header_timeout: Duration,
    /// Bytes of the head of a request, at least 8 KiB; one that is longer by more than what comes with one read is answered
    /// with 431 and the connection closed. A session keeps the head that it was opened with. With HTTP/2 it is 16 KiB in any
    /// case. Default 16 KiB, as in Node.
    pub max_head: usize,
    /// Time within which a client must take an answer, or 64 KiB of a longer one; else the connection is dropped. It is
    /// not about WebSockets and streams of events, which have heartbeats and a bound on what waits, nor about HTTP/2.
    /// Default 60 s.
    pub write_timeout: Duration,
    /// How long open requests may go on after the shutdown has begun. Default 10 s.
    pub drain_timeout: Duration,
    /// Bounds of connections with HTTP/2.
    pub http2: Http2Config,
}

/// What one connection with HTTP/2 may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http2Config {
    /// Requests and WebSockets under way at a time; a client keeps further ones back. Default 128.
    pub max_streams: u32,
    /// Bytes of one request's body, or of one WebSocket, that may come before they are read. Default 256 KiB.
    pub stream_window: u32,
    /// The same, for all of a connection together. Default 1 MiB.
    pub connection_window: u32,
    /// Time without a request after which a connection takes no more of them: it is closed when its streams, WebSockets
    /// too, have ended. Default 60 s.
    pub idle_timeout: Duration,
    /// How often the client is pinged. Default 20 s.
    pub ping_interval: Duration,
    /// Time within which it must answer; else the connection is dropped with all that it carries. Default 20 s.
    pub ping_timeout: Duration,
}

impl Default for Http2Config {
    fn default() -> Self {
        Self {
            max_streams: 128,
            stream_window: 256 << 10,
            connection_window: 1 << 20,
            idle_timeout: Duration::from_secs(60),
            ping_interval: Duration::from_secs(20),
            ping_timeout: Duration::from_secs(20),
        }
    }
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self {
            max_connections: 65_536,
            header_timeout: Duration::from_secs(10),
            max_head: 16 << 10,
            write_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(10),
            http2: Http2Config::default(),
        }
    }
}

impl ListenerConfig {
    /// What speaks HTTP/1.1 within these bounds.
    pub(crate) fn http1(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder
            // The connection looks after it.
            .header_read_timeout(None)
            // A head must find room in the buffer; less than this hyper does not take.
            .max_buf_size(self.max_head.max(MIN_HEAD));
        builder
    }
}

/// The least that may be the most of a head.
const MIN_HEAD: usize = 8 << 10;

/// Connections that the kernel keeps until they are accepted.
const QUEUE: u32 = 1_024;

/// A bound TCP socket.
pub struct Listener {
    listener: TcpListener,
    config: ListenerConfig,
    tls: Option<Tls>,
    reception: Reception,
}

impl Listener {
    /// Binds `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// What the operating system says, e.g. that the port is taken.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Ok(Self::from_tcp(TcpListener::bind(address).await?))
    }

    /// As [`bind`](Self::bind), on a port that other processes of this user may have at the same time if they ask for it in
    /// the same way (`SO_REUSEPORT`): the kernel gives each connection to one of them.
    ///
    /// # Errors
    /// As [`bind`](Self::bind); and everywhere but on Unix, which alone has such ports.
    pub async fn bind_shared(address: impl ToSocketAddrs) -> io::Result<Self> {
        let mut refused = io::Error::new(io::ErrorKind::InvalidInput, "there is no address");
        for address in lookup_host(address).await? {
            match shared(address) {
                Ok(listener) => return Ok(Self::from_tcp(listener)),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    /// A listener on a socket that is bound already.
    #[must_use]
    pub fn from_tcp(listener: TcpListener) -> Self {
        Self {
            listener,
            config: ListenerConfig::default(),
            tls: None,
            reception: Reception::new(),
        }
    }

    /// Sets the bounds.
    #[must_use]
    pub fn with_config(mut self, config: ListenerConfig) -> Self {
        self.config = config;
        self
    }

    /// Speaks TLS, and HTTP/2 with clients that want it; plain HTTP is not answered any more.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Believes the proxies and limits the clients of `reception`.
    #[must_use]
    pub fn with_reception(mut self, reception: Reception) -> Self {
        self.reception = reception;
        self
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// The address that is bound.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Sets how long open requests may go on after the shutdown has begun.
    #[must_use]
    pub fn with_drain_timeout(mut self, timeout: Duration) -> Self {
        self.config.drain_timeout = timeout;
        self
    }

    /// Serves until `shutdown` is ready; then accepts no more than who is connected already, and returns when every open request is answered or the
    /// drain timeout is over. Connections that became WebSockets or streams of events are not waited for, but for those of
    /// HTTP/2.
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
        if let Some(tls) = &self.tls {
            tls.watch();
        }
        let config = Arc::new(self.config);
        let reception = self.reception;
        let handler = {
            let reception = reception.clone();
            move |mut request, peer| match reception.receive_from(peer, &mut request) {
                Ok(client) => Answer::Handled {
                    answer: handler(request, client),
                },
                Err(refusal) => Answer::Refused {
                    refusal: Some(refusal),
                },
            }
        };
        // Without it small frames would wait for the acknowledgement of earlier ones. On Linux a connection has it from its
        // listener.
        let has_nodelay =
            cfg!(target_os = "linux") && SockRef::from(&self.listener).set_tcp_nodelay(true).is_ok();
        let begin = |stream: TcpStream, peer: SocketAddr, permit| {
            if !has_nodelay && let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%peer, %error, "TCP_NODELAY could not be set");
            }
            let mut serving = Serving {
                peer: peer.into(),
                handler: handler.clone(),
                ending: ending.subscribe(),
                config: config.clone(),
                _permit: permit,
                _seat: None,
            };
            // Tasks of their own kind: a plain connection has no room for TLS, HTTP/2 and proxies.
            if let Some(bounds) = reception.announcement(peer) {
                let (reception, tls) = (reception.clone(), self.tls.clone());
                task::spawn(
                    "gatewire proxied",
                    serving.announced(stream, bounds, reception, tls),
                );
            } else if serving.sit_down(&reception, &stream, self.tls.is_some()) {
                match &self.tls {
                    None => task::spawn("gatewire http", serving.http1(stream.into())),
                    Some(tls) => task::spawn("gatewire https", serving.tls(stream, tls.clone())),
                };
            }
        };
        let mut shutdown = std::pin::pin!(shutdown);
        let mut failures = Failures::default();
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
                    failures.succeeded();
                    begin(stream, peer, permit);
                }
                Err(error) => {
                    let pause = failures.failed(&error, Instant::now());
                    tokio::select! {
                        biased;
                        () = &mut shutdown => break,
                        () = tokio::time::sleep(pause) => {}
                    }
                }
            }
        }
        // For their clients those in the queue are connected: a listener that is closed over them would reset them.
        for (stream, peer) in waiting(&self.listener) {
            begin(stream, peer, permits.clone().try_acquire_owned().ok());
        }
        drop(self.listener);
        ending.send_replace(true);
        if tokio::time::timeout(config.drain_timeout, ending.closed())
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

pin_project_lite::pin_project! {
    /// The answer to a request that was received, or not. An async block would have room for the future twice.
    #[project = AnswerProjected]
    enum Answer<F> {
        Handled {
            #[pin]
            answer: F,
        },
        Refused {
            refusal: Option<Box<Response<Body>>>,
        },
    }
}

impl<F, B> Future for Answer<F>
where
    F: Future<Output = Response<B>>,
{
    type Output = Response<Either<B, Body>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AnswerProjected::Handled { answer } => answer.poll(cx).map(|response| response.map(Either::Left)),
            AnswerProjected::Refused { refusal } => match refusal.take() {
                Some(refusal) => Poll::Ready(refusal.map(Either::Right)),
                None => Poll::Pending,
            },
        }
    }
}

/// Who is in the queue at this moment.
fn waiting(listener: &TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    let mut cx = Context::from_waker(Waker::noop());
    let accept = || match listener.poll_accept(&mut cx) {
        Poll::Ready(accepted) => accepted.ok(),
        Poll::Pending => None,
    };
    std::iter::from_fn(accept).take(QUEUE as usize).collect()
}

#[cfg(unix)]
fn shared(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

#[cfg(not(unix))]
fn shared(_: SocketAddr) -> io::Result<TcpListener> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this system has no ports that processes share",
    ))
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
    let stream = Stream::Other(Other::new(stream));
    serve(stream, &ListenerConfig::default(), handler, pin!(pending())).await
}
