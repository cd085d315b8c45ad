//! Whose pages may talk to a server, as one rule for every way in: a WebSocket handshake is open to every page of the web
//! unless the server looks at the `Origin` (RFC 6455 §10.2), and a poll by script tags does not even have one. What a page
//! may read is another matter: that is for browsers to decide, on the headers of [`Cors`](crate::Cors).

use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderValue;
use http::Uri;
use http::header::{HOST, ORIGIN, REFERER};
use http::request::Parts;
use http::uri::Authority;

/// What a page is told that may not talk to the server.
pub(crate) const REFUSAL: &str =
    "pages of this Origin may not connect: the server's `cors` option names those that may";

/// The origins whose pages may talk to a server, beside those of its own: a page whose `Origin` has the host and the port
/// of the request's `Host` is always let in, and so is who sends no `Origin`, which is no browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Every origin: `*`.
    Any,
    /// Every origin, named in the answer: what credentials need.
    Reflect,
    /// These origins, each written as a browser sends it, e.g. `https://app.example`. Behind a proxy that puts another
    /// `Host` into its requests, the server's own one is to be among them.
    List(Vec<String>),
}

impl Origin {
    /// Whether an `Origin` header of this value is among them.
    #[must_use]
    pub fn allows(&self, origin: &[u8]) -> bool {
        match self {
            Self::Any | Self::Reflect => true,
            Self::List(list) => {
                let origin_read = Site::read(origin);
                list.iter().any(|one| {
                    one.as_bytes().eq_ignore_ascii_case(origin)
                        || origin_read.is_some() && origin_read == Site::read(one.as_bytes())
                })
            }
        }
    }

    /// The first one of the list that is written in another way than browsers write origins, and would allow nobody.
    pub(crate) fn malformed(&self) -> Option<&str> {
        let Self::List(list) = self else {
            return None;
        };
        let is_good = |one: &str| {
            let site = Site::read(one.as_bytes());
            one == "null"
                || !one.ends_with('/') && !one.contains('*') && site.is_some_and(|site| site.is_bare)
        };
        list.iter().map(String::as_str).find(|one| !is_good(one))
    }
}

/// The guard at the door of one server.
#[derive(Debug, Default)]
pub(crate) struct Door {
    /// Whether a refusal has been logged where everybody sees it.
    told: AtomicBool,
}

impl Door {
    /// Whether the request may come in. A poll by script tags has no `Origin`: what it has is a `Referer`, and without one
    /// nobody knows whose page it is.
    pub(crate) fn is_open(&self, allowed: Option<&Origin>, parts: &Parts, is_script: bool) -> bool {
        if matches!(allowed, Some(Origin::Any | Origin::Reflect)) {
            return true;
        }
        let mut origins = parts.headers.get_all(ORIGIN).iter().peekable();
        let is_open = if origins.peek().is_some() {
            origins.all(|origin| is_friend(allowed, origin.as_bytes(), parts))
        } else if is_script {
            let page = parts.headers.get(REFERER).and_then(site_of_page);
            page.is_some_and(|page| is_friend(allowed, page.as_bytes(), parts))
        } else {
            true
        };
        if !is_open {
            self.tell(parts);
        }
        is_open
    }

    /// The first one is a warning, for whoever wonders why a page does not get in; clients do not fill the log.
    fn tell(&self, parts: &Parts) {
        let origin = parts.headers.get(ORIGIN).or_else(|| parts.headers.get(REFERER));
        let host = parts.headers.get(HOST);
        if self.told.swap(true, Ordering::Relaxed) {
            tracing::debug!(?origin, ?host, uri = %parts.uri, "a page of another origin is refused");
        } else {
            tracing::warn!(
                ?origin, ?host, uri = %parts.uri,
                "a page of another origin is refused: name the origins that may connect in the `cors` option, also the \
                 server's own one where a proxy changes the Host; further ones are logged at the level debug"
            );
        }
    }
}

fn is_friend(allowed: Option<&Origin>, origin: &[u8], parts: &Parts) -> bool {
    is_own(origin, parts) || allowed.is_some_and(|allowed| allowed.allows(origin))
}

/// Whether the origin is that of the server, as the client knows it.
fn is_own(origin: &[u8], parts: &Parts) -> bool {
    let Some(site) = Site::read(origin) else {
        return false;
    };
    let named = || Authority::try_from(parts.headers.get(HOST)?.as_bytes()).ok();
    let Some(own) = parts.uri.authority().cloned().or_else(named) else {
        return false;
    };
    site.port.is_some()
        && site.host.eq_ignore_ascii_case(own.host())
        && site.port == own.port_u16().or_else(|| default_port(&site.scheme))
}

/// The origin of the page that a `Referer` names.
fn site_of_page(referer: &HeaderValue) -> Option<String> {
    let uri = Uri::try_from(referer.as_bytes()).ok()?;
    Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?))
}

/// An origin (RFC 6454 §4), taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Site {
    /// In lower case, as the host.
    scheme: String,
    host: String,
    /// That of the scheme, if it is not written.
    port: Option<u16>,
    /// Nothing stands behind it.
    is_bare: bool,
}

impl Site {
    fn read(origin: &[u8]) -> Option<Self> {
        let uri = Uri::try_from(origin).ok()?;
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        Some(Self {
            host: uri.host()?.to_ascii_lowercase(),
            port: uri.port_u16().or_else(|| default_port(&scheme)),
            is_bare: uri.path_and_query().is_none_or(|path| path == "/"),
            scheme,
        })
    }
}

/// Some clients that are no browsers write the scheme of the WebSocket.
fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn request(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn is_open(allowed: Option<&Origin>, parts: &Parts, is_script: bool) -> bool {
        Door::default().is_open(allowed, parts, is_script)
    }

    #[test]
    fn a_page_of_the_servers_own_is_let_in() {
        for (host, origin, expected) in [
            ("app.example", "https://app.example", true),
            ("app.example", "http://app.example", true),
            ("app.example:443", "https://app.example", true),
            ("app.example", "https://app.example:443", true),
            ("App.Example", "https://aPP.example", true),
            ("localhost:3000", "http://localhost:3000", true),
            ("[::1]:3000", "http://[::1]:3000", true),
            ("app.example", "wss://app.example", true),
            ("localhost:3000", "http://localhost:5173", false),
            ("localhost:3000", "http://localhost", false),
            ("localhost:3000", "http://127.0.0.1:3000", false),
            ("app.example", "http://app.example:443", false),
            ("app.example:443", "http://app.example", false),
            ("app.example", "https://app.example.evil", false),
            ("app.example", "https://evil.app.example", false),
            ("app.example", "https://app.example@evil", false),
            ("app.example", "null", false),
            ("null", "null", false),
            ("app.example", "app.example", false),
            ("app.example", "", false),
            ("app.example", "file://app.example", false),
            ("app.example", "https://app.example https://evil", false),
        ] {
            let parts = request("/", &[("host", host), ("origin", origin)]);
            assert_eq!(is_open(None, &parts, false), expected, "{origin} at {host}");
        }
        // HTTP/2 has the host in the URI.
        let parts = request("https://app.example/ws", &[("origin", "https://app.example")]);
        assert!(is_open(None, &parts, false));
        let parts = request("/", &[("origin", "https://app.example")]);
        assert!(!is_open(None, &parts, false), "nobody knows who the server is");
        let two = request(
            "/",
            &[
                ("host", "a.example"),
                ("origin", "https://a.example"),
                ("origin", "https://evil.example"),
            ],
        );
        assert!(!is_open(None, &two, false));
    }

    #[test]
    fn who_is_no_browser_is_let_in() {
        assert!(is_open(None, &request("/", &[("host", "app.example")]), false));
    }

    #[test]
    fn others_are_let_in_if_they_are_named() {
        let list = Origin::List(
            ["https://a.example", "http://b.example:8080", "null"]
                .map(Into::into)
                .into(),
        );
        for (origin, expected) in [
            ("https://a.example", true),
            ("HTTPS://A.EXAMPLE", true),
            ("https://a.example:443", true),
            ("http://b.example:8080", true),
            ("null", true),
            ("https://own.example", true),
            ("http://a.example", false),
            ("http://b.example", false),
            ("https://a.example.evil", false),
        ] {
            let parts = request("/", &[("host", "own.example"), ("origin", origin)]);
            assert_eq!(is_open(Some(&list), &parts, false), expected, "{origin}");
            for everyone in [Origin::Any, Origin::Reflect] {
                assert!(is_open(Some(&everyone), &parts, false), "{origin}");
            }
        }
    }

    #[test]
    fn scripts_are_known_by_their_page() {
        let list = Origin::List(vec!["https://a.example".to_owned()]);
        for (referer, own, listed) in [
            (Some("https://app.example/page?x=1"), true, true),
            (Some("https://a.example/"), false, true),
            (Some("https://b.example/"), false, false),
            (Some("nonsense"), false, false),
            (None, false, false),
        ] {
            let mut headers = vec![("host", "app.example")];
            headers.extend(referer.map(|referer| ("referer", referer)));
            let parts = request("/", &headers);
            assert_eq!(is_open(None, &parts, true), own, "{referer:?}");
            assert_eq!(is_open(Some(&list), &parts, true), listed, "{referer:?}");
            assert!(is_open(Some(&Origin::Any), &parts, true));
        }
    }

    #[test]
    fn what_no_browser_sends_is_found() {
        for (origin, good) in [
            ("https://a.example", true),
            ("http://localhost:5173", true),
            ("capacitor://localhost", true),
            ("null", true),
            ("*", false),
            ("a.example", false),
            ("localhost:5173", false),
            ("https://a.example/", false),
            ("https://a.example/chat", false),
            ("https://*.a.example", false),
            ("", false),
        ] {
            let malformed = Origin::List(vec!["https://fine.example".to_owned(), origin.to_owned()]);
            assert_eq!(malformed.malformed(), (!good).then_some(origin));
        }
        assert_eq!(Origin::Any.malformed(), None);
    }
}
