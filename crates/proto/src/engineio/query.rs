//! The query string of an Engine.IO request. It only reads: whether a value is acceptable is decided where the session
//! table and the configuration are known.

use std::borrow::Cow;

/// The parameters of a request that Engine.IO knows. Names are exact, the last of two equal names wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query<'a> {
    /// `EIO`: the protocol version, `"4"` for this server.
    pub eio: Option<Cow<'a, str>>,
    /// `transport`: see [`TransportKind::from_name`](super::TransportKind::from_name).
    pub transport: Option<Cow<'a, str>>,
    /// `sid`: the session; absent or empty in a handshake.
    pub sid: Option<Cow<'a, str>>,
    /// `b64`: the client cannot take binary. Polling of version 4 is text anyway, so it changes nothing there.
    pub b64: bool,
    /// `j`: the answer goes into a JSONP callback of this number. Only digits are kept, as the official server does:
    /// the value is written into a script.
    pub jsonp: Option<Cow<'a, str>>,
}

impl<'a> Query<'a> {
    /// Parses a query string (without `?`) by the rules of `application/x-www-form-urlencoded`; bytes that are not
    /// UTF-8 become U+FFFD. Never fails: what is not understood is absent.
    pub fn parse(query: &'a str) -> Self {
        let mut parsed = Self::default();
        for pair in query.split('&') {
            let Some((name, value)) = decode(pair) else {
                continue;
            };
            match &*name {
                "EIO" => parsed.eio = Some(value),
                "transport" => parsed.transport = Some(value),
                "sid" => parsed.sid = Some(value).filter(|sid| !sid.is_empty()),
                "b64" => parsed.b64 = !value.is_empty(),
                "j" => parsed.jsonp = Some(digits(value)),
                _ => {}
            }
        }
        parsed
    }
}

/// Name and value of a parameter. Most stand there as they are, which is much less to do.
fn decode(pair: &str) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    if pair.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return form_urlencoded::parse(pair.as_bytes()).next();
    }
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    Some((name.into(), value.into()))
}

fn digits(value: Cow<'_, str>) -> Cow<'_, str> {
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        value
    } else {
        value
            .chars()
            .filter(char::is_ascii_digit)
            .collect::<String>()
            .into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query(
        eio: Option<&'static str>,
        transport: Option<&'static str>,
        sid: Option<&'static str>,
    ) -> Query<'static> {
        Query {
            eio: eio.map(Cow::Borrowed),
            transport: transport.map(Cow::Borrowed),
            sid: sid.map(Cow::Borrowed),
            ..Query::default()
        }
    }

    #[test]
    fn known_names() {
        let table = [
            ("", query(None, None, None)),
            (
                "EIO=4&transport=polling&t=P1x",
                query(Some("4"), Some("polling"), None),
            ),
            (
                "EIO=4&transport=websocket&sid=abc",
                query(Some("4"), Some("websocket"), Some("abc")),
            ),
            ("EIO=3&EIO=4", query(Some("4"), None, None)),
            ("EIO=4&EIO=", query(Some(""), None, None)),
            ("EIO", query(Some(""), None, None)),
            ("eio=4&Transport=polling", query(None, None, None)),
            (
                "transport=web%73ocket&sid=a+b%2B",
                query(None, Some("websocket"), Some("a b+")),
            ),
            ("%45IO=4", query(Some("4"), None, None)),
            (
                "transport=__proto__&sid=constructor",
                query(None, Some("__proto__"), Some("constructor")),
            ),
            ("&&=&EIO=4&", query(Some("4"), None, None)),
            ("sid=abc&sid=", query(None, None, None)),
            ("sid=%ff", query(None, None, Some("\u{fffd}"))),
            ("sid=%4", query(None, None, Some("%4"))),
        ];
        for (text, expected) in table {
            assert_eq!(Query::parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn base64_and_jsonp() {
        assert!(Query::parse("b64=1").b64);
        assert!(Query::parse("b64=0").b64, "any value counts, as in JavaScript");
        assert!(!Query::parse("b64=").b64);
        assert_eq!(Query::parse("j=12").jsonp.as_deref(), Some("12"));
        assert_eq!(Query::parse("j=0);alert(1").jsonp.as_deref(), Some("01"));
        assert_eq!(Query::parse("j=").jsonp.as_deref(), Some(""));
        assert_eq!(Query::parse("").jsonp, None);
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in any::<String>()) {
            let parsed = Query::parse(&text);
            prop_assert!(parsed.jsonp.is_none_or(|j| j.bytes().all(|byte| byte.is_ascii_digit())));
        }

        #[test]
        fn encoded_values_survive(sid in any::<String>(), transport in any::<String>()) {
            let text: String = form_urlencoded::Serializer::new(String::new())
                .append_pair("sid", &sid)
                .append_pair("transport", &transport)
                .finish();
            let parsed = Query::parse(&text);
            prop_assert_eq!(parsed.sid.as_deref(), Some(&*sid).filter(|sid| !sid.is_empty()));
            prop_assert_eq!(parsed.transport.as_deref(), Some(&*transport));
        }
    }
}
