//! Cross-origin rules for polling, with the header semantics of the `cors` middleware that the Node server uses. It
//! decides no request: a browser does, on the headers written here.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Which origins may read responses, and how.
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

/// The origins that [`Cors`] allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Every origin: `*`.
    Any,
    /// Every origin, named in the answer: what credentials need.
    Reflect,
    /// These origins, each written as a browser sends it, e.g. `https://app.example`.
    List(Vec<String>),
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
    /// Writes the headers that every response carries.
    pub(crate) fn apply(&self, request: &HeaderMap, response: &mut HeaderMap) {
        match &self.origin {
            Origin::Any => put(response, ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            Origin::Reflect => {
                if let Some(origin) = request.get(ORIGIN) {
                    response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                }
                response.append(VARY, HeaderValue::from_static("Origin"));
            }
            Origin::List(allowed) => {
                let origin = request.get(ORIGIN);
                if let Some(origin) =
                    origin.filter(|origin| allowed.iter().any(|one| one.as_bytes() == origin.as_bytes()))
                {
                    response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
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
