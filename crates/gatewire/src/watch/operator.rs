//! Routes for those who run an application: metrics, health. They tell what is nobody else's business, so on the address of
//! the application they are for visitors from near by, unless somebody says otherwise.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use http::header::{ALLOW, CACHE_CONTROL, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode};

use crate::site::not_found;

/// One path, answered to GET and HEAD.
#[derive(Clone)]
pub struct OperatorRoute {
    path: String,
    address: Option<SocketAddr>,
    is_public: bool,
    answer: Answer,
}

type Answer = Arc<dyn Fn(OperatorRequest) -> BoxFuture<'static, Response> + Send + Sync>;

/// A request to an [`OperatorRoute`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperatorRequest {
    /// Whether it comes straight from this machine or a private network, or to an address that is the operators' own.
    pub is_near: bool,
}

impl OperatorRoute {
    /// A route at exactly this path; a leading `/` is added. It is for visitors from near by: requests that come directly
    /// from this machine or a private network (RFC 1918, fc00::/7, link-local), not through a proxy. Others are told that there
    /// is nothing.
    pub fn new<F>(path: &str, answer: impl Fn(OperatorRequest) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        Self {
            path: format!("/{}", path.trim_start_matches('/')),
            address: None,
            is_public: false,
            answer: Arc::new(move |request| Box::pin(answer(request))),
        }
    }

    /// Serves it at an address of its own and not at the application's, over plain HTTP, to whoever comes there. Routes with
    /// the same address share it.
    #[must_use]
    pub fn on(mut self, address: Option<SocketAddr>) -> Self {
        self.address = address;
        self
    }

    /// Answers everybody.
    #[must_use]
    pub fn public(mut self, is_public: bool) -> Self {
        self.is_public = is_public;
        self
    }

    /// Its path.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(crate) async fn answer<B>(&self, request: Request<B>, peer: Option<SocketAddr>) -> Response {
        let is_near = self.address.is_some() || is_near(request.headers(), peer);
        if !is_near && !self.is_public {
            return not_found(request).await;
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let allowed = [(ALLOW, HeaderValue::from_static("GET, HEAD"))];
            return (StatusCode::METHOD_NOT_ALLOWED, allowed).into_response();
        }
        let mut response = (self.answer)(OperatorRequest { is_near }).await;
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

impl fmt::Debug for OperatorRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperatorRoute")
            .field("path", &self.path)
            .field("address", &self.address)
            .field("is_public", &self.is_public)
            .finish_non_exhaustive()
    }
}

/// The operators' routes of one address.
#[derive(Clone, Debug, Default)]
pub(crate) struct OperatorSite(Vec<OperatorRoute>);

impl OperatorSite {
    pub(crate) fn add(&mut self, routes: impl IntoIterator<Item = OperatorRoute>) {
        self.0.extend(routes);
    }

    /// Takes out the routes that have an address of their own, by address.
    pub(crate) fn split(&mut self) -> Vec<(SocketAddr, Self)> {
        let (apart, here): (Vec<_>, Vec<_>) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|route| route.address.is_some());
        self.0 = here;
        let mut sites: Vec<(SocketAddr, Self)> = Vec::new();
        for route in apart {
            let Some(address) = route.address else { continue };
            match sites.iter_mut().find(|(other, _)| *other == address) {
                Some((_, site)) => site.0.push(route),
                None => sites.push((address, Self(vec![route]))),
            }
        }
        sites
    }

    pub(crate) fn find(&self, path: &str) -> Option<&OperatorRoute> {
        self.0.iter().find(|route| route.path == path)
    }

    pub(crate) fn into_routes(self) -> Vec<OperatorRoute> {
        self.0
    }
}

/// Whether a request comes directly from this machine or a private network. Whose address is not known does not.
fn is_near(headers: &HeaderMap, peer: Option<SocketAddr>) -> bool {
    let is_relayed = ["forwarded", "x-forwarded-for", "x-real-ip", "via"]
        .iter()
        .any(|name| headers.contains_key(*name));
    let is_private = |ip: IpAddr| match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    !is_relayed && peer.is_some_and(|peer| is_private(peer.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_near() {
        let plain = HeaderMap::new();
        for (ip, near) in [
            ("127.0.0.1:1", true),
            ("10.1.2.3:1", true),
            ("172.16.0.1:1", true),
            ("192.168.1.1:1", true),
            ("169.254.1.1:1", true),
            ("[::1]:1", true),
            ("[fd00::1]:1", true),
            ("[fe80::1]:1", true),
            ("[::ffff:10.0.0.1]:1", true),
            ("8.8.8.8:1", false),
            ("172.32.0.1:1", false),
            ("[2001:db8::1]:1", false),
            ("[::ffff:8.8.8.8]:1", false),
        ] {
            assert_eq!(is_near(&plain, Some(ip.parse().unwrap())), near, "{ip}");
        }
        assert!(!is_near(&plain, None));
        for name in ["forwarded", "x-forwarded-for", "x-real-ip", "via"] {
            let relayed =
                HeaderMap::from_iter([(http::HeaderName::from_static(name), HeaderValue::from_static("x"))]);
            assert!(!is_near(&relayed, Some("127.0.0.1:1".parse().unwrap())), "{name}");
        }
    }

    #[test]
    fn routes_with_one_address_share_it() {
        let address: SocketAddr = "127.0.0.1:9464".parse().unwrap();
        let route = |path: &str, address| {
            OperatorRoute::new(path, |_| async { StatusCode::OK.into_response() }).on(address)
        };
        let mut site = OperatorSite::default();
        site.add([
            route("metrics", Some(address)),
            route("/here", None),
            route("/health", Some(address)),
        ]);
        let apart = site.split();
        assert!(site.find("/here").is_some() && site.find("/metrics").is_none());
        assert_eq!(apart.len(), 1);
        assert!(apart[0].1.find("/metrics").is_some() && apart[0].1.find("/health").is_some());
    }
}
