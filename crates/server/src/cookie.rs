//! The cookie with the session id that a load balancer may use to send all requests of a polling session to one server.
//! The engine itself never reads it.

use std::fmt::Write;
use std::time::Duration;

use http::HeaderValue;

/// A cookie that the polling handshake sets (RFC 6265); its value is the session id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    /// The name. Default `io`.
    pub name: String,
    /// `Path`. Default `/`.
    pub path: Option<String>,
    /// `Domain`. Default none: this host alone.
    pub domain: Option<String>,
    /// `Max-Age`, in whole seconds. Default none: until the browser is closed.
    pub max_age: Option<Duration>,
    /// `HttpOnly`: scripts cannot read it. Default true.
    pub http_only: bool,
    /// `Secure`: over TLS only. Default false.
    pub secure: bool,
    /// `SameSite`. Default `Lax`.
    pub same_site: Option<SameSite>,
}

/// With which requests from other sites a browser sends a cookie along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// With none.
    Strict,
    /// With top-level navigation only.
    Lax,
    /// With all; browsers ask for `Secure`, then.
    None,
}

impl Default for Cookie {
    fn default() -> Self {
        Self {
            name: "io".to_owned(),
            path: Some("/".to_owned()),
            domain: None,
            max_age: None,
            http_only: true,
            secure: false,
            same_site: Some(SameSite::Lax),
        }
    }
}

impl Cookie {
    /// Whether name, path and domain can stand in the header without meaning something else.
    pub(crate) fn is_valid(&self) -> bool {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let is_value = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b';';
        !self.name.is_empty()
            && self.name.bytes().all(is_token)
            && self
                .path
                .iter()
                .chain(&self.domain)
                .all(|value| value.bytes().all(is_value))
    }

    /// The value of the `Set-Cookie` header; `None` if the cookie is not [valid](Self::is_valid).
    pub(crate) fn header(&self, sid: &str) -> Option<HeaderValue> {
        let mut header = format!("{}={sid}", self.name);
        if let Some(age) = self.max_age {
            // Writing to a string cannot fail.
            let _ = write!(header, "; Max-Age={}", age.as_secs());
        }
        for (name, value) in [("Domain", &self.domain), ("Path", &self.path)] {
            if let Some(value) = value {
                let _ = write!(header, "; {name}={value}");
            }
        }
        for (name, is_on) in [("HttpOnly", self.http_only), ("Secure", self.secure)] {
            if is_on {
                let _ = write!(header, "; {name}");
            }
        }
        if let Some(same_site) = self.same_site {
            let _ = write!(header, "; SameSite={same_site:?}");
        }
        HeaderValue::from_str(&header).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_that_of_the_node_server() {
        let header = Cookie::default().header("abc").unwrap();
        assert_eq!(header, "io=abc; Path=/; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn every_attribute_is_written() {
        let cookie = Cookie {
            name: "lb".to_owned(),
            path: None,
            domain: Some("a.example".to_owned()),
            max_age: Some(Duration::from_secs(60)),
            http_only: false,
            secure: true,
            same_site: Some(SameSite::None),
        };
        assert_eq!(
            cookie.header("abc").unwrap(),
            "lb=abc; Max-Age=60; Domain=a.example; Secure; SameSite=None"
        );
    }

    #[test]
    fn nothing_can_be_smuggled_in() {
        for name in ["", "a b", "a;b", "a=b", "a\r\nb"] {
            assert!(
                !Cookie {
                    name: name.to_owned(),
                    ..Cookie::default()
                }
                .is_valid(),
                "{name:?}"
            );
        }
        for path in ["/; Domain=b.example", "/\r\nx: y", "/\u{7f}"] {
            assert!(
                !Cookie {
                    path: Some(path.to_owned()),
                    ..Cookie::default()
                }
                .is_valid(),
                "{path:?}"
            );
        }
    }
}
