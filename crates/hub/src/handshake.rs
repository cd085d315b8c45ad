//! What is remembered of the HTTP request that opened a connection, in one compact buffer. The fields that only concern
//! the connection itself (hop-by-hop and WebSocket fields) are not kept.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{self, HeaderMap, HeaderName};
use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// The parts of the opening request that a [`Handshake`] is made of.
#[derive(Debug, Clone, Copy)]
pub struct HandshakeParts<'a> {
    /// The fields of the request.
    pub headers: &'a HeaderMap,
    /// Its target, path and query.
    pub uri: &'a http::Uri,
    /// The other end of the TCP connection; `None` where there is none.
    pub peer: Option<SocketAddr>,
    /// Whether the connection is encrypted.
    pub secure: bool,
}

/// The opening request of a connection, as the Node server shows it to an application.
#[derive(Debug, Clone)]
pub struct Handshake {
    /// The URL, then each field's name and value, each ended by a line feed, which none of them can hold.
    text: Box<str>,
    peer: Option<SocketAddr>,
    /// Milliseconds since 1970.
    issued: u64,
    secure: bool,
}

impl Handshake {
    /// Copies what is worth keeping; `issued` is now.
    #[must_use]
    pub fn new(parts: HandshakeParts<'_>) -> Self {
        let url = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let fields = parts.headers.iter();
        let room: usize = fields
            .map(|(name, value)| name.as_str().len() + value.len() + 2)
            .sum();
        let mut text = String::with_capacity(url.len() + 1 + room);
        text.push_str(url);
        text.push('\n');
        for name in parts.headers.keys().filter(|name| !is_hop(name)) {
            text.push_str(name.as_str());
            text.push('\n');
            let separator = if *name == header::COOKIE { "; " } else { ", " };
            for (at, value) in parts.headers.get_all(name).iter().enumerate() {
                if at > 0 {
                    if is_single(name) {
                        break;
                    }
                    text.push_str(separator);
                }
                match value.to_str() {
                    Ok(value) => text.push_str(value),
                    // Node reads bytes outside of ASCII as Latin-1.
                    Err(_) => text.extend(value.as_bytes().iter().map(|&byte| char::from(byte))),
                }
            }
            text.push('\n');
        }
        let issued = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO)
            .as_millis();
        Self {
            text: text.into(),
            peer: parts.peer,
            issued: issued as u64,
            secure: parts.secure,
        }
    }

    /// The target of the request: path and query.
    #[must_use]
    pub fn url(&self) -> &str {
        self.text.split_once('\n').map_or("", |(url, _)| url)
    }

    /// The fields of the request.
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        Headers {
            text: self.text.split_once('\n').map_or("", |(_, rest)| rest),
        }
    }

    /// The value of a query parameter, decoded; of several with one name the last.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        self.query_pairs()
            .filter(|(key, _)| key == name)
            .last()
            .map(|(_, value)| value)
    }

    /// All query parameters, decoded, in their order.
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let query = self.url().split_once('?').map_or("", |(_, query)| query);
        form_urlencoded::parse(query.as_bytes())
    }

    /// The other end of the TCP connection: the client, or a proxy before it.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The IP address of the other end; empty where there is none.
    #[must_use]
    pub fn address(&self) -> String {
        self.peer.map(|peer| peer.ip().to_string()).unwrap_or_default()
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether a browser page of some origin opened the connection: there is an `Origin` field.
    #[must_use]
    pub fn is_cross_domain(&self) -> bool {
        self.headers().get("origin").is_some()
    }

    /// When the connection was opened, in milliseconds since 1970.
    #[must_use]
    pub fn issued(&self) -> u64 {
        self.issued
    }

    /// When the connection was opened, as JavaScript writes a date in UTC.
    #[must_use]
    pub fn time(&self) -> String {
        javascript_date(self.issued / 1_000)
    }

    /// The handshake object of the Node server: `headers`, `time`, `address`, `xdomain`, `secure`, `issued`, `url`,
    /// `query` and `auth`, the data that the client sent with CONNECT (`{}` without).
    #[must_use]
    pub fn to_json(&self, auth: Option<&RawValue>) -> serde_json::Value {
        serde_json::to_value(WithAuth {
            handshake: self,
            auth,
        })
        .unwrap_or_default()
    }
}

/// As the Node server shows it, with an empty `auth`.
impl Serialize for Handshake {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WithAuth {
            handshake: self,
            auth: None,
        }
        .serialize(serializer)
    }
}

struct WithAuth<'a> {
    handshake: &'a Handshake,
    auth: Option<&'a RawValue>,
}

impl Serialize for WithAuth<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let handshake = self.handshake;
        let mut object = serializer.serialize_struct("Handshake", 9)?;
        object.serialize_field("headers", &handshake.headers())?;
        object.serialize_field("time", &handshake.time())?;
        object.serialize_field("address", &handshake.address())?;
        object.serialize_field("xdomain", &handshake.is_cross_domain())?;
        object.serialize_field("secure", &handshake.secure)?;
        object.serialize_field("issued", &handshake.issued)?;
        object.serialize_field("url", handshake.url())?;
        object.serialize_field("query", &Query(handshake))?;
        match self.auth {
            Some(auth) => object.serialize_field("auth", auth)?,
            None => object.serialize_field("auth", &serde_json::Map::new())?,
        }
        object.end()
    }
}

/// The query as an object; of several parameters with one name only the last.
struct Query<'a>(&'a Handshake);

impl Serialize for Query<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pairs: Vec<_> = self.0.query_pairs().collect();
        // A client may name thousands: each is looked up, not compared with all behind it.
        let last: HashMap<&str, usize> = pairs
            .iter()
            .enumerate()
            .map(|(at, (name, _))| (&**name, at))
            .collect();
        let mut object = serializer.serialize_map(None)?;
        for (at, (name, value)) in pairs.iter().enumerate() {
            if last.get(&**name) == Some(&at) {
                object.serialize_entry(name, value)?;
            }
        }
        object.end()
    }
}

/// The header fields of a [`Handshake`]; several of one name are joined as Node does.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a> {
    text: &'a str,
}

impl<'a> Headers<'a> {
    /// The value of the field `name`, in whatever case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Name, in lower case, and value of each field.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut lines = self.text.split_terminator('\n');
        std::iter::from_fn(move || Some((lines.next()?, lines.next()?)))
    }
}

impl Serialize for Headers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// Of interest to the connection alone.
fn is_hop(name: &HeaderName) -> bool {
    [
        header::CONNECTION,
        header::UPGRADE,
        header::TRANSFER_ENCODING,
        header::TE,
        header::TRAILER,
    ]
    .contains(name)
        || name.as_str().starts_with("sec-websocket-")
        || name == "keep-alive"
}

/// Of these Node takes the first and drops the others.
fn is_single(name: &HeaderName) -> bool {
    [
        header::AGE,
        header::AUTHORIZATION,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::ETAG,
        header::EXPIRES,
        header::FROM,
        header::HOST,
        header::IF_MODIFIED_SINCE,
        header::IF_UNMODIFIED_SINCE,
        header::LAST_MODIFIED,
        header::LOCATION,
        header::MAX_FORWARDS,
        header::PROXY_AUTHORIZATION,
        header::REFERER,
        header::RETRY_AFTER,
        header::SERVER,
        header::USER_AGENT,
    ]
    .contains(name)
}

/// `Mon Nov 23 2026 20:26:07 GMT+0000 (Coordinated Universal Time)`
fn javascript_date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let days = seconds / 86_400;
    let (mut year, mut day) = (1970, days);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let lengths = [
        31,
        28 + u64::from(is_leap(year)),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let mut month = 0;
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    let (name, month, day) = (DAYS[(days % 7) as usize], MONTHS[month], day + 1);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    let mut date = String::with_capacity(64);
    // Writing to a string does not fail.
    let _ = write!(
        date,
        "{name} {month} {day:02} {year} {hour:02}:{minute:02}:{second:02} GMT+0000 (Coordinated Universal Time)"
    );
    date
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn handshake() -> Handshake {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "a.example"),
            ("host", "b.example"),
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-key", "x"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
            ("x-y", "1"),
            ("x-y", "2"),
            ("origin", "https://a.example"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers.append("x-latin", HeaderValue::from_bytes(b"\xe9").unwrap());
        let uri = "/socket.io/?EIO=4&t=a%26b&t=%C3%A9+f".parse().unwrap();
        let peer = Some(([127, 0, 0, 1], 80).into());
        Handshake::new(HandshakeParts {
            headers: &headers,
            uri: &uri,
            peer,
            secure: true,
        })
    }

    #[test]
    fn fields_are_found_and_joined() {
        let handshake = handshake();
        let cases = [
            ("HOST", Some("a.example")),
            ("Cookie", Some("a=1; b=2")),
            ("x-y", Some("1, 2")),
            ("x-latin", Some("é")),
            ("connection", None),
            ("upgrade", None),
            ("sec-websocket-key", None),
            ("1, 2", None),
            ("", None),
        ];
        for (name, value) in cases {
            assert_eq!(handshake.headers().get(name), value, "{name}");
        }
        assert_eq!(handshake.headers().iter().count(), 5);
    }

    #[test]
    fn the_query_is_decoded() {
        let handshake = handshake();
        assert_eq!(handshake.url(), "/socket.io/?EIO=4&t=a%26b&t=%C3%A9+f");
        assert_eq!(handshake.query("t").as_deref(), Some("é f"));
        assert_eq!(handshake.query("EIO").as_deref(), Some("4"));
        assert_eq!(handshake.query("sid"), None);
    }

    #[test]
    fn the_object_is_nodes() {
        let handshake = handshake();
        let auth = RawValue::from_string(r#"{"token":"x"}"#.to_owned()).unwrap();
        let expected = json!({
            "headers": {
                "host": "a.example", "cookie": "a=1; b=2", "x-y": "1, 2", "origin": "https://a.example", "x-latin": "é"
            },
            "time": handshake.time(),
            "address": "127.0.0.1",
            "xdomain": true,
            "secure": true,
            "issued": handshake.issued(),
            "url": "/socket.io/?EIO=4&t=a%26b&t=%C3%A9+f",
            "query": {"EIO": "4", "t": "é f"},
            "auth": {"token": "x"},
        });
        assert_eq!(handshake.to_json(Some(&auth)), expected);
        assert_eq!(handshake.to_json(None)["auth"], json!({}));
    }

    #[test]
    fn dates_are_written_as_in_javascript() {
        let cases = [
            (0, "Thu Jan 01 1970 00:00:00"),
            (951_782_400, "Tue Feb 29 2000 00:00:00"),
            (1_700_000_000, "Tue Nov 14 2023 22:13:20"),
            (1_795_465_567, "Mon Nov 23 2026 20:26:07"),
            (4_102_444_799, "Thu Dec 31 2099 23:59:59"),
        ];
        for (seconds, date) in cases {
            assert_eq!(
                javascript_date(seconds),
                format!("{date} GMT+0000 (Coordinated Universal Time)")
            );
        }
    }
}
