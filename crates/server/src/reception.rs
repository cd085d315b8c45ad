//! What happens to a request before it is handed on: whom it comes from is found out, and whether that address may ask
//! any more. Without proxies and limits, nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, Request, Response};

use crate::http::{self as answer, Body};
use crate::limiter::{ClientLimiter, Seat, TooMany};
use crate::proxies::{Peer, ProxyProtocol, TrustedProxies};
use crate::tls::Secured;

/// The proxies that are believed, and the limits of client addresses. Cheap to clone; all clones have the same limits.
///
/// A [`Listener`](crate::Listener) asks it by itself ([`with_reception`](crate::Listener::with_reception)). Where another
/// HTTP server serves the requests, call [`receive`](Self::receive) for each before an [`Engine`](crate::Engine) gets it.
///
/// ```
/// use gatewire_server::{ClientLimiter, ClientLimits, Reception, TrustedProxies};
///
/// let reception = Reception::new()
///     .trust_proxies(TrustedProxies::new(["10.0.0.0/8"])?)
///     .limit_clients(ClientLimiter::new(ClientLimits::default()));
/// # Ok::<(), gatewire_server::NetworkError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Reception {
    proxies: Option<Arc<TrustedProxies>>,
    limiter: Option<ClientLimiter>,
    /// It was told that there seems to be a proxy which is not trusted.
    has_warned: Arc<AtomicBool>,
}

impl Reception {
    /// Without proxies and limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Believes these proxies.
    #[must_use]
    pub fn trust_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = Some(Arc::new(proxies));
        self
    }

    /// Limits what each client address may have and do.
    #[must_use]
    pub fn limit_clients(mut self, limiter: ClientLimiter) -> Self {
        self.limiter = Some(limiter);
        self
    }

    /// Whether it does anything at all.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        self.proxies.is_some() || self.limiter.is_some()
    }

    /// Receives a request that came from `peer`: notes in its extensions whether the client spoke TLS and whose limits
    /// count for the session that it may open. What comes back is the client's address.
    ///
    /// # Errors
    /// The answer to a request that is one too many for its address: 429, and when to come back.
    pub fn receive<B>(
        &self,
        request: &mut Request<B>,
        peer: SocketAddr,
    ) -> Result<SocketAddr, Box<Response<Body>>> {
        self.receive_from(peer.into(), request)
    }

    /// As [`receive`](Self::receive), from who may be announced by the PROXY protocol.
    pub(crate) fn receive_from<B>(
        &self,
        peer: Peer,
        request: &mut Request<B>,
    ) -> Result<SocketAddr, Box<Response<Body>>> {
        let mut client = peer;
        if let Some(proxies) = &self.proxies {
            client = proxies.resolve(peer, request.headers());
            match client.is_secure {
                Some(true) if request.extensions().get::<Secured>().is_none() => {
                    request.extensions_mut().insert(Secured::default());
                }
                Some(false) => {
                    request.extensions_mut().remove::<Secured>();
                }
                _ => {}
            }
        }
        let Some(limiter) = &self.limiter else {
            return Ok(client.address);
        };
        if client.hops == peer.hops && !self.trusts(peer) {
            self.warn_of_proxy(peer, request.headers());
        }
        if let Some(visitor) = limiter.visitor(client.address.ip()) {
            if let Err(too_many) = visitor.request() {
                tracing::debug!(client = %client.address, %too_many, "a request is refused");
                return Err(Box::new(answer::too_many(too_many)));
            }
            request.extensions_mut().insert(visitor);
        }
        Ok(client.address)
    }

    /// A place for the HTTP connection of `peer`; `None` if it is not limited.
    pub(crate) fn open_http(&self, peer: Peer) -> Result<Option<Seat>, TooMany> {
        let Some(limiter) = self.limiter.as_ref().filter(|_| !self.trusts(peer)) else {
            return Ok(None);
        };
        let visitor = limiter.visitor(peer.address.ip());
        visitor.map(|visitor| visitor.open_http()).transpose()
    }

    /// How the connection of `peer` must begin, if with a header of the PROXY protocol.
    pub(crate) fn announcement(&self, peer: SocketAddr) -> Option<ProxyProtocol> {
        self.proxies.as_ref()?.announcement(peer).copied()
    }

    fn trusts(&self, peer: Peer) -> bool {
        self.proxies.as_ref().is_some_and(|proxies| proxies.trusts(peer))
    }

    /// Says once that all clients of a proxy which is not trusted share an allowance.
    fn warn_of_proxy(&self, peer: Peer, headers: &HeaderMap) {
        let is_forwarded = headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
        if is_forwarded && !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                peer = %peer.address,
                "a request says that it was forwarded by a proxy, which is not trusted: the limits count for the proxy's \
                 address. If it is yours, name it in `TrustedProxies`"
            );
        }
    }
}
