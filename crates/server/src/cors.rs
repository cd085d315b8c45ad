//! Who may talk to a server from a page of another origin, and the headers that tell a browser so, with the semantics of
//! the `cors` middleware that the Node server uses. Which requests are let in at all is decided in `origin`.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::origin::Origin;

/// Which pages of other origins may talk to a server, and what they may read.
///
/// ```
/// use gatewire_server::Cors;
///
/// let cors = Cors::origins(["https://app.example", "http://localhost:5173"]).with_credentials();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// The origins that are allowed.
    pub origin: Origin,
    /// Methods a preflight allows.
    pub methods: Vec<String>,
    /// Headers a preflight allows; `None` allows those that the preflight asks for.
    pub allowed_headers: Option<Vec<String>>,
    /// Response headers that a page may read.
    pub exposed_headers: Vec<String>,
    /// Whether cookies and authorization may be sent along.
    pub credentials: bool,
    /// Seconds for which a browser may remember a preflight.
    pub max_age: Option<u32>,
}

impl Default for Cors {
    fn default() -> Self {
        Self {
            origin: Origin::Any,
            methods: ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"]
                .map(str::to_owned)
                .to_vec(),
            allowed_headers: None,
            exposed_headers: Vec::new(),
            credentials: false,
            max_age: None,
        }
    }
}

impl Cors {
    /// Every origin: `*`.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// These origins, each written as a browser sends it, e.g. `https://app.example`.
    #[must_use]
    pub fn origins<O: Into<String>>(origins: impl IntoIterator<Item = O>) -> Self {
        Self {
            origin: Origin::List(origins.into_iter().map(Into::into).collect()),
            ..Self::default()
        }
    }

    /// Cookies and authorization may be sent along.
    #[must_use]
    pub fn with_credentials(mut self) -> Self {
        self.credentials = true;
        self
    }

    /// What speaks against these rules, in words. A server that starts with them logs each as a warning.
    #[must_use]
    pub fn dangers(&self) -> Vec<&'static str> {
        self.dangers_in(!cfg!(debug_assertions))
    }

    fn dangers_in(&self, is_release: bool) -> Vec<&'static str> {
        let mut dangers = Vec::new();
        match self.origin {
            Origin::Any if self.credentials => {
                dangers.push(
                    "browsers send no credentials where every origin may connect (`*`): name the origins",
                );
            }
            Origin::Reflect if self.credentials => {
                dangers
                    .push("every page of the web may act in the name of whoever opens it: name the origins");
            }
            _ => {}
        }
        if is_release && matches!(self.origin, Origin::Any | Origin::Reflect) {
            dangers.push("every page of the web may connect, and this is a release build: name the origins");
        }
        dangers
    }

    /// Logs what speaks against them.
    pub(crate) fn warn(&self, server: &str) {
        for danger in self.dangers() {
            tracing::warn!(server, "cors: {danger}");
        }
    }

    /// Writes the headers that every response carries.
    pub(crate) fn apply(&self, request: &HeaderMap, response: &mut HeaderMap) {
        match &self.origin {
            Origin::Any => put(response, ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            Origin::Reflect => {
                if let Some(origin) = request.get(ORIGIN) {
                    response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, copied(origin));
                }
                response.append(VARY, HeaderValue::from_static("Origin"));
            }
            Origin::List(_) => {
                let origin = request.get(ORIGIN);
                if let Some(origin) = origin.filter(|origin| self.origin.allows(origin.as_bytes())) {
                    response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, copied(origin));
                }
                response.append(VARY, HeaderValue::from_static("Origin"));
            }
        }
        if self.credentials {
            put(response, ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
        }
        if !self.exposed_headers.is_empty() {
            put(
                response,
                ACCESS_CONTROL_EXPOSE_HEADERS,
                &self.exposed_headers.join(","),
            );
        }
    }

    /// Writes the headers of the answer to a preflight.
    pub(crate) fn apply_preflight(&self, request: &HeaderMap, response: &mut HeaderMap) {
        self.apply(request, response);
        put(response, ACCESS_CONTROL_ALLOW_METHODS, &self.methods.join(","));
        if let Some(allowed) = &self.allowed_headers {
            put(response, ACCESS_CONTROL_ALLOW_HEADERS, &allowed.join(","));
        } else {
            response.append(VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
            if let Some(asked) = request.get(ACCESS_CONTROL_REQUEST_HEADERS) {
                response.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
            }
        }
        if let Some(seconds) = self.max_age {
            response.insert(ACCESS_CONTROL_MAX_AGE, seconds.into());
        }
    }
}

/// A value that does not hold the buffer that the request was read into: a poll may wait for long with it.
fn copied(value: &HeaderValue) -> HeaderValue {
    HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| value.clone())
}

/// Inserts a configured value; one that cannot stand in a header is left out.
fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    match HeaderValue::from_str(value) {
        Ok(value) => {
            headers.insert(name, value);
        }
        Err(_) => {
            tracing::warn!(header = %name, value, "a CORS option cannot be written as a header and is left out")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&'static str, &str)]) -> HeaderMap {
        headers
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect()
    }

    fn listed() -> Cors {
        Cors {
            origin: Origin::List(vec!["https://a.example".to_owned()]),
            methods: vec!["GET".to_owned(), "POST".to_owned()],
            allowed_headers: Some(vec!["x-my".to_owned()]),
            credentials: true,
            max_age: Some(600),
            ..Cors::default()
        }
    }

    #[test]
    fn what_is_open_to_everyone_is_warned_of() {
        let count = |cors: Cors, is_release| cors.dangers_in(is_release).len();
        let reflect = Cors {
            origin: Origin::Reflect,
            ..Cors::default()
        };
        for (cors, debug, release) in [
            (Cors::any(), 0, 1),
            (Cors::any().with_credentials(), 1, 2),
            (reflect.clone(), 0, 1),
            (reflect.with_credentials(), 1, 2),
            (Cors::origins(["https://a.example"]).with_credentials(), 0, 0),
        ] {
            assert_eq!(
                (count(cors.clone(), false), count(cors.clone(), true)),
                (debug, release),
                "{cors:?}"
            );
        }
    }

    #[test]
    fn any_origin_is_a_star() {
        let mut response = HeaderMap::new();
        Cors::default().apply(&request(&[("origin", "https://b.example")]), &mut response);
        assert_eq!(response[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert!(!response.contains_key(VARY));
    }

    #[test]
    fn a_listed_origin_is_named_and_another_is_not() {
        for (origin, allowed) in [("https://a.example", true), ("https://b.example", false)] {
            let mut response = HeaderMap::new();
            listed().apply(&request(&[("origin", origin)]), &mut response);
            assert_eq!(
                response.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN),
                allowed,
                "{origin}"
            );
            assert_eq!(response[VARY], "Origin");
            assert_eq!(response[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        }
    }

    #[test]
    fn a_preflight_names_methods_headers_and_age() {
        let mut response = HeaderMap::new();
        listed().apply_preflight(&request(&[("origin", "https://a.example")]), &mut response);
        assert_eq!(response[ACCESS_CONTROL_ALLOW_METHODS], "GET,POST");
        assert_eq!(response[ACCESS_CONTROL_ALLOW_HEADERS], "x-my");
        assert_eq!(response[ACCESS_CONTROL_MAX_AGE], "600");
    }

    #[test]
    fn a_preflight_reflects_the_headers_it_asks_for() {
        let mut response = HeaderMap::new();
        let asked = request(&[
            ("origin", "https://b.example"),
            ("access-control-request-headers", "x-a,x-b"),
        ]);
        Cors::default().apply_preflight(&asked, &mut response);
        assert_eq!(response[ACCESS_CONTROL_ALLOW_HEADERS], "x-a,x-b");
        assert_eq!(
            response[ACCESS_CONTROL_ALLOW_METHODS],
            "GET,HEAD,PUT,PATCH,POST,DELETE"
        );
        let mut response = HeaderMap::new();
        Cors::default().apply_preflight(&request(&[]), &mut response);
        assert_eq!(response[VARY], "Access-Control-Request-Headers");
        assert!(!response.contains_key(ACCESS_CONTROL_ALLOW_HEADERS));
    }
}
