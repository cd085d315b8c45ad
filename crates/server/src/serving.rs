//! HTTP on one accepted connection, to its end: HTTP/1.1, or what is agreed on under TLS. It knows no path, and accepts no
//! connection: that is the [listener](crate::listener)'s work.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use crate::announced::announced;
use crate::http1::{FIRST_REQUEST, serve};
use crate::limiter::Seat;
use crate::listener::ListenerConfig;
use crate::proxies::{Peer, ProxyProtocol};
use crate::reception::Reception;
use crate::stream::Stream;
use crate::tls::{ALPN_H2, Secured, Tls, TlsStream};

/// What one connection needs of its listener.
pub(crate) struct Serving<H> {
    pub(crate) peer: Peer,
    pub(crate) handler: H,
    pub(crate) config: Arc<ListenerConfig>,
    /// The listener ends. Its being there is counted.
    pub(crate) ending: watch::Receiver<bool>,
    pub(crate) _permit: Option<OwnedSemaphorePermit>,
    /// Its place among the connections of its address.
    pub(crate) _seat: Option<Seat>,
}

impl<H, F, B> Serving<H>
where
    H: Fn(Request<Incoming>, Peer) -> F + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Takes its place among the connections of its address. False if there are as many as there may be: the client is told,
    /// where the connection is not TLS's.
    pub(crate) fn sit_down(&mut self, reception: &Reception, stream: &TcpStream, is_tls: bool) -> bool {
        match reception.open_http(self.peer) {
            Ok(seat) => {
                self._seat = seat;
                true
            }
            Err(too_many) => {
                tracing::debug!(peer = %self.peer.address, %too_many, "a connection is closed");
                if !is_tls {
                    // It is closed whether the client takes this or not.
                    let _ = stream.try_write(TOO_MANY);
                }
                false
            }
        }
    }

    /// Reads whom a trusted proxy speaks for, and serves that client.
    pub(crate) async fn announced(
        mut self,
        stream: TcpStream,
        bounds: ProxyProtocol,
        reception: Reception,
        tls: Option<Tls>,
    ) {
        let proxy = self.peer.address;
        let peer = tokio::select! {
            peer = announced(&stream, proxy, bounds) => peer,
            () = told_a_moment_ago(&mut self.ending) => return,
        };
        let Some(peer) = peer else { return };
        self.peer = peer;
        if !self.sit_down(&reception, &stream, tls.is_some()) {
            return;
        }
        match tls {
            None => self.http1(stream.into()).await,
            Some(tls) => Box::pin(self.tls(stream, tls)).await,
        }
    }

    /// Serves HTTP/1.1.
    #[expect(
        clippy::manual_async_fn,
        reason = "the future of an async fn has room for its arguments twice"
    )]
    pub(crate) fn http1(mut self, stream: Stream) -> impl Future<Output = ()> {
        async move {
            let this = &mut self;
            let handler = |request| (this.handler)(request, this.peer);
            let told = pin!(told(&mut this.ending));
            let outcome = serve(stream, &this.config, handler, told).await;
            report(this.peer.address, outcome);
        }
    }

    /// Does the handshake of TLS, and serves what was agreed on.
    pub(crate) async fn tls(mut self, stream: TcpStream, tls: Tls) {
        let stream = tokio::select! {
            stream = tls.accept(stream, self.peer.address) => stream,
            () = told_a_moment_ago(&mut self.ending) => return,
        };
        // It has served its purpose: the certificates of a listener that has ended need not stay.
        drop(tls);
        let Some(stream) = stream else { return };
        let secured = Secured::by(&stream);
        let Self {
            peer,
            handler,
            config,
            ending,
            _permit,
            _seat,
        } = self;
        let serving = Serving {
            handler: move |mut request: Request<Incoming>, peer| {
                request.extensions_mut().insert(secured.clone());
                handler(request, peer)
            },
            peer,
            config,
            ending,
            _permit,
            _seat,
        };
        if stream.speaks(ALPN_H2) {
            // In a box: what few connections need is not to be room in the task of each.
            Box::pin(serving.http2(stream)).await;
        } else {
            serving.http1(stream.into()).await;
        }
    }

    /// Serves HTTP/2. Each request has a task of its own.
    async fn http2(mut self, stream: Box<TlsStream>) {
        let activity = Arc::new(Activity::new());
        let service = service_fn(|mut request: Request<Incoming>| {
            let under_way = activity.begin();
            name_host(&mut request);
            let response = (self.handler)(request, self.peer);
            async move {
                let response = response.await;
                drop(under_way);
                Ok::<_, Infallible>(response)
            }
        });
        let bounds = &self.config.http2;
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .enable_connect_protocol()
            .max_concurrent_streams(bounds.max_streams)
            .initial_stream_window_size(bounds.stream_window)
            .initial_connection_window_size(bounds.connection_window)
            .keep_alive_interval(bounds.ping_interval)
            .keep_alive_timeout(bounds.ping_timeout)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let deadline = Instant::now() + self.config.header_timeout;
        let mut look = deadline.min(Instant::now() + bounds.idle_timeout);
        let mut is_ending = false;
        let outcome = loop {
            tokio::select! {
                outcome = connection.as_mut() => break outcome,
                () = told(&mut self.ending), if !is_ending => is_ending = true,
                () = tokio::time::sleep_until(look), if !is_ending => {
                    look = match activity.quiet_since() {
                        Some(quiet_since) => quiet_since + bounds.idle_timeout,
                        None if deadline > Instant::now() => deadline,
                        None => {
                            tracing::debug!(peer = %self.peer.address, "no request came within the header timeout");
                            return;
                        }
                    };
                    if look > Instant::now() {
                        continue;
                    }
                    is_ending = true;
                }
            }
            if is_ending {
                connection.as_mut().graceful_shutdown();
            }
        };
        report(self.peer.address, outcome);
    }
}

/// What who has too many connections is told, before a request has come.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n";

/// Ready when the listener ends.
async fn told(ending: &mut watch::Receiver<bool>) {
    // The guard that `wait_for` gives must not be held across a wait. An error is an end, too.
    drop(ending.wait_for(|ending| *ending).await);
}

/// As [`told`], a moment later: who was accepted just before the end is answered.
async fn told_a_moment_ago(ending: &mut watch::Receiver<bool>) {
    told(ending).await;
    tokio::time::sleep(FIRST_REQUEST).await;
}

fn report(peer: SocketAddr, outcome: hyper::Result<()>) {
    if let Err(error) = outcome {
        tracing::debug!(%peer, %error, "an HTTP connection ended with an error");
    }
}

/// HTTP/2 names the host in the target. Where it is looked for is the `Host` header.
fn name_host(request: &mut Request<Incoming>) {
    if let Some(authority) = request.uri().authority()
        && !request.headers().contains_key(HOST)
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(HOST, host);
    }
}

/// Whether a connection with HTTP/2 is in use.
struct Activity(Mutex<Usage>);

struct Usage {
    /// Requests that are not answered.
    under_way: usize,
    /// Since when there is none; `None` before the first one.
    quiet_since: Option<Instant>,
}

/// A request that is not answered, or not to its end if its client takes it back.
struct UnderWay(Arc<Activity>);

impl Activity {
    fn new() -> Self {
        Self(Mutex::new(Usage {
            under_way: 0,
            quiet_since: None,
        }))
    }

    fn begin(self: &Arc<Self>) -> UnderWay {
        self.lock().under_way += 1;
        UnderWay(self.clone())
    }

    /// Now, while requests are under way; `None` if none has come yet.
    fn quiet_since(&self) -> Option<Instant> {
        let usage = self.lock();
        if usage.under_way > 0 {
            return Some(Instant::now());
        }
        usage.quiet_since
    }

    fn lock(&self) -> MutexGuard<'_, Usage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut usage = self.0.lock();
        usage.under_way -= 1;
        usage.quiet_since = Some(Instant::now());
    }
}
