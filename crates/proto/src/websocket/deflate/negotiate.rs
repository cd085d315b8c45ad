//! The negotiation (RFC 7692 §7.1): the offers of a client, the server's options, and what they agree on.

use std::borrow::Cow;
use std::fmt;

use http::HeaderMap;
use http::header::SEC_WEBSOCKET_EXTENSIONS;

use super::MAX_WINDOW_BITS;
use crate::websocket::handshake::is_token_byte;

const NAME: &str = "permessage-deflate";

/// How a server compresses, and what it lets clients do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeflateOptions {
    /// Messages shorter than this many bytes go out as they are. Default 1,024.
    pub threshold: usize,
    /// From 1, the fastest, to 9, the smallest. Default 6.
    pub level: u8,
    /// The largest window to compress with, as the base-2 logarithm of its bytes: 9 to 15. Default 15.
    pub server_max_window_bits: u8,
    /// Whether a client may refer to its earlier messages. It compresses better, but the connection then keeps up to a
    /// window of what the client has sent. Default false.
    pub client_context_takeover: bool,
    /// The largest window that a client may refer back to, as the base-2 logarithm of its bytes: 8 to 15. Default 15. A
    /// client that cannot be held to it is not allowed to refer to earlier messages at all.
    pub client_max_window_bits: u8,
}

impl Default for DeflateOptions {
    fn default() -> Self {
        Self {
            threshold: 1_024,
            level: 6,
            server_max_window_bits: MAX_WINDOW_BITS,
            client_context_takeover: false,
            client_max_window_bits: MAX_WINDOW_BITS,
        }
    }
}

/// What one client and the server have agreed on. Its text form is the value of `Sec-WebSocket-Extensions` in the
/// response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Deflate {
    server_max_window_bits: Option<u8>,
    client_no_context_takeover: bool,
    client_max_window_bits: Option<u8>,
}

/// A `Sec-WebSocket-Extensions` header that is not written as RFC 6455 §9.1 says: the handshake is to be refused with
/// status 400.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the Sec-WebSocket-Extensions header is no list of extensions with parameters")]
pub struct MalformedExtensions;

impl Deflate {
    /// Takes the first acceptable offer of permessage-deflate among the extensions that a client asks for; `None` if there is
    /// none, and the connection then goes without compression.
    ///
    /// An offer with a parameter that is unknown, given twice, or of a wrong value is not acceptable (RFC 7692 §7.1), but
    /// another may follow it. Other extensions are passed over.
    ///
    /// # Errors
    ///
    /// If the header is malformed, wherever in it.
    pub fn negotiate(
        headers: &HeaderMap,
        options: &DeflateOptions,
    ) -> Result<Option<Self>, MalformedExtensions> {
        let mut agreed = None;
        for line in headers.get_all(SEC_WEBSOCKET_EXTENSIONS) {
            let mut rest = Rest(line.as_bytes());
            loop {
                rest.skip(b" \t,");
                if rest.0.is_empty() {
                    break;
                }
                let offer = Offer::read(&mut rest)?;
                if agreed.is_none() {
                    agreed = offer.map(|offer| Self::accept(&offer, options));
                }
            }
        }
        Ok(agreed)
    }

    fn accept(offer: &Offer, options: &DeflateOptions) -> Self {
        let server = options.server_max_window_bits.clamp(8, MAX_WINDOW_BITS);
        let client = options.client_max_window_bits.clamp(8, MAX_WINDOW_BITS);
        let is_limit = |bits: &u8| *bits < MAX_WINDOW_BITS;
        // A client that did not say that it knows the parameter must not be sent it (§7.1.2.2).
        let client_max_window_bits = offer
            .client_max_window_bits
            .map(|offered| offered.unwrap_or(MAX_WINDOW_BITS).min(client))
            .filter(is_limit);
        let cannot_be_held = client < client_max_window_bits.unwrap_or(MAX_WINDOW_BITS);
        Self {
            // What was asked for must be confirmed, even 15 (§7.1.2.1).
            server_max_window_bits: match offer.server_max_window_bits {
                Some(offered) => Some(offered.min(server)),
                None => Some(server).filter(is_limit),
            },
            client_no_context_takeover: !options.client_context_takeover
                || offer.client_no_context_takeover
                || cannot_be_held,
            client_max_window_bits,
        }
    }

    /// The window that the client can follow, as the base-2 logarithm of its bytes: 8 to 15.
    #[must_use]
    pub fn server_window_bits(&self) -> u8 {
        self.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS)
    }

    /// How far back into earlier messages the client may refer, as the base-2 logarithm of the bytes; `None` if it must
    /// not.
    #[must_use]
    pub fn client_history_bits(&self) -> Option<u8> {
        let bits = self.client_max_window_bits.unwrap_or(MAX_WINDOW_BITS);
        (!self.client_no_context_takeover).then_some(bits)
    }
}

impl fmt::Display for Deflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{NAME}; server_no_context_takeover")?;
        if self.client_no_context_takeover {
            f.write_str("; client_no_context_takeover")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; server_max_window_bits={bits}")?;
        }
        if let Some(bits) = self.client_max_window_bits {
            write!(f, "; client_max_window_bits={bits}")?;
        }
        Ok(())
    }
}

/// One offer of permessage-deflate. That it asks for `server_no_context_takeover` is not kept: it gets it anyway.
#[derive(Default)]
struct Offer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// With or without a value (§7.1.2.2).
    client_max_window_bits: Option<Option<u8>>,
}

impl Offer {
    /// Reads one element of the list; `None` if it is another extension or breaks a rule of this one.
    fn read(rest: &mut Rest<'_>) -> Result<Option<Self>, MalformedExtensions> {
        let mut offer = (rest.token()? == NAME).then(Self::default);
        loop {
            rest.skip(b" \t");
            match rest.0.split_first() {
                None => return Ok(offer),
                Some((b',', _)) => return Ok(offer),
                Some((b';', after)) => rest.0 = after,
                Some(_) => return Err(MalformedExtensions),
            }
            rest.skip(b" \t");
            let name = rest.token()?;
            rest.skip(b" \t");
            let value = match rest.0.split_first() {
                Some((b'=', after)) => {
                    rest.0 = after;
                    rest.skip(b" \t");
                    Some(rest.value()?)
                }
                _ => None,
            };
            offer = offer.and_then(|offer| offer.with(name, value.as_deref()));
        }
    }

    /// The offer with one more parameter; `None` if that is against the rules.
    fn with(mut self, name: &str, value: Option<&str>) -> Option<Self> {
        let is_new = match (name, value) {
            ("server_no_context_takeover", None) => {
                !std::mem::replace(&mut self.server_no_context_takeover, true)
            }
            ("client_no_context_takeover", None) => {
                !std::mem::replace(&mut self.client_no_context_takeover, true)
            }
            ("server_max_window_bits", Some(value)) => {
                self.server_max_window_bits.replace(window_bits(value)?).is_none()
            }
            ("client_max_window_bits", value) => {
                let bits = match value {
                    Some(value) => Some(window_bits(value)?),
                    None => None,
                };
                self.client_max_window_bits.replace(bits).is_none()
            }
            _ => false,
        };
        is_new.then_some(self)
    }
}

/// 8 to 15 in decimal, without leading zeros (§7.1.2.1).
fn window_bits(value: &str) -> Option<u8> {
    let is_plain = value.bytes().all(|byte| byte.is_ascii_digit()) && !value.starts_with('0');
    let bits: u8 = value.parse().ok().filter(|_| is_plain)?;
    (8..=MAX_WINDOW_BITS).contains(&bits).then_some(bits)
}

/// What is still to be read of a header line.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn skip(&mut self, what: &[u8]) {
        let skipped = self.0.iter().take_while(|byte| what.contains(byte)).count();
        self.0 = &self.0[skipped..];
    }

    fn token(&mut self) -> Result<&'a str, MalformedExtensions> {
        let len = self.0.iter().take_while(|&&byte| is_token_byte(byte)).count();
        let (token, rest) = self.0.split_at(len);
        self.0 = rest;
        if token.is_empty() {
            return Err(MalformedExtensions);
        }
        std::str::from_utf8(token).map_err(|_| MalformedExtensions)
    }

    /// A token, or a quoted string that is one when it is unquoted.
    fn value(&mut self) -> Result<Cow<'a, str>, MalformedExtensions> {
        let Some((b'"', mut rest)) = self.0.split_first() else {
            return self.token().map(Cow::Borrowed);
        };
        let mut value = String::new();
        loop {
            let (mut byte, mut after) = rest.split_first().ok_or(MalformedExtensions)?;
            if *byte == b'"' {
                self.0 = after;
                break;
            }
            if *byte == b'\\' {
                (byte, after) = after.split_first().ok_or(MalformedExtensions)?;
            }
            if !is_token_byte(*byte) {
                return Err(MalformedExtensions);
            }
            value.push(char::from(*byte));
            rest = after;
        }
        if value.is_empty() {
            return Err(MalformedExtensions);
        }
        Ok(Cow::Owned(value))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn negotiate(lines: &[&str], options: &DeflateOptions) -> Result<Option<String>, MalformedExtensions> {
        let mut headers = HeaderMap::new();
        for line in lines {
            let value = HeaderValue::from_bytes(line.as_bytes()).unwrap();
            headers.append(SEC_WEBSOCKET_EXTENSIONS, value);
        }
        let agreed = Deflate::negotiate(&headers, options)?;
        Ok(agreed.map(|deflate| deflate.to_string()))
    }

    /// The response without the part that all have.
    fn answer(offer: &str, options: &DeflateOptions) -> Option<String> {
        let answer = negotiate(&[offer], options).unwrap()?;
        let rest = answer
            .strip_prefix("permessage-deflate; server_no_context_takeover")
            .unwrap();
        Some(rest.replace("; ", " ").trim_start().to_owned())
    }

    #[test]
    fn every_parameter_is_answered() {
        let takeover = DeflateOptions {
            client_context_takeover: true,
            ..DeflateOptions::default()
        };
        let small = DeflateOptions {
            server_max_window_bits: 11,
            client_max_window_bits: 10,
            client_context_takeover: true,
            ..DeflateOptions::default()
        };
        let fresh = DeflateOptions::default();
        let table = [
            (&fresh, "", "client_no_context_takeover"),
            (&takeover, "", ""),
            // The client cannot be told how far back it may refer, so it may not.
            (&small, "", "client_no_context_takeover server_max_window_bits=11"),
            (
                &fresh,
                "; server_no_context_takeover",
                "client_no_context_takeover",
            ),
            (&takeover, "; server_no_context_takeover", ""),
            (
                &takeover,
                "; client_no_context_takeover",
                "client_no_context_takeover",
            ),
            (
                &takeover,
                "; server_max_window_bits=15",
                "server_max_window_bits=15",
            ),
            (
                &takeover,
                "; server_max_window_bits=10",
                "server_max_window_bits=10",
            ),
            (
                &takeover,
                "; server_max_window_bits=8",
                "server_max_window_bits=8",
            ),
            (&takeover, "; client_max_window_bits", ""),
            (&takeover, "; client_max_window_bits=15", ""),
            (
                &takeover,
                "; client_max_window_bits=9",
                "client_max_window_bits=9",
            ),
            (
                &fresh,
                "; client_max_window_bits=9",
                "client_no_context_takeover client_max_window_bits=9",
            ),
            (
                &small,
                "; client_max_window_bits",
                "server_max_window_bits=11 client_max_window_bits=10",
            ),
            (
                &small,
                "; client_max_window_bits=9; server_max_window_bits=9",
                "server_max_window_bits=9 client_max_window_bits=9",
            ),
            (
                &small,
                "; client_max_window_bits=12; server_max_window_bits=12",
                "server_max_window_bits=11 client_max_window_bits=10",
            ),
            // Both ways to write a value, and white space wherever it may be.
            (
                &takeover,
                "; server_max_window_bits=\"10\"",
                "server_max_window_bits=10",
            ),
            (
                &takeover,
                "; server_max_window_bits=\"1\\0\"",
                "server_max_window_bits=10",
            ),
            (
                &takeover,
                " ;\tserver_max_window_bits = 10 ",
                "server_max_window_bits=10",
            ),
        ];
        for (options, offer, expected) in table {
            let offer = format!("permessage-deflate{offer}");
            assert_eq!(answer(&offer, options).as_deref(), Some(expected), "{offer}");
        }
    }

    #[test]
    fn offers_against_the_rules_are_passed_over() {
        for parameters in [
            "unknown",
            "server_no_context_takeover=1",
            "client_no_context_takeover=true",
            "server_no_context_takeover; server_no_context_takeover",
            "client_no_context_takeover; client_no_context_takeover",
            "client_max_window_bits; client_max_window_bits",
            "client_max_window_bits=9; client_max_window_bits=9",
            "server_max_window_bits=9; server_max_window_bits=10",
            "server_max_window_bits",
            "server_max_window_bits=7",
            "server_max_window_bits=16",
            "server_max_window_bits=010",
            "server_max_window_bits=08",
            "server_max_window_bits=+9",
            "server_max_window_bits=1e1",
            "server_max_window_bits=999999999999",
            "client_max_window_bits=7",
            "client_max_window_bits=16",
            "client_max_window_bits=0",
            "Server_no_context_takeover",
        ] {
            let options = DeflateOptions::default();
            let bad = format!("permessage-deflate; {parameters}");
            assert_eq!(negotiate(&[&bad], &options), Ok(None), "{bad}");
            let fallback = format!("{bad}, permessage-deflate; server_max_window_bits=9");
            let taken = answer(&fallback, &options);
            let expected = "client_no_context_takeover server_max_window_bits=9";
            assert_eq!(taken.as_deref(), Some(expected), "{fallback}");
        }
    }

    #[test]
    fn the_first_acceptable_offer_is_taken() {
        let options = DeflateOptions {
            client_context_takeover: true,
            ..DeflateOptions::default()
        };
        let ten = Some("server_max_window_bits=10".to_owned());
        for offers in [
            "permessage-deflate; server_max_window_bits=10, permessage-deflate",
            "x-webkit-deflate-frame, permessage-deflate; server_max_window_bits=10",
            "other; a=b; c, ,permessage-deflate; server_max_window_bits=10,",
            "permessage-deflate; server_max_window_bits=99, permessage-deflate; server_max_window_bits=10",
        ] {
            assert_eq!(answer(offers, &options), ten, "{offers}");
        }
        let lines = [
            "other",
            "permessage-deflate",
            "permessage-deflate; server_max_window_bits=10",
        ];
        assert_eq!(
            negotiate(&lines, &options).unwrap().as_deref(),
            Some("permessage-deflate; server_no_context_takeover")
        );
        for none in [
            "",
            " , ",
            "permessage-deflat",
            "permessage-bzip2",
            "PERMESSAGE-DEFLATE",
        ] {
            assert_eq!(negotiate(&[none], &options), Ok(None), "{none:?}");
        }
        assert_eq!(negotiate(&[], &options), Ok(None));
    }

    #[test]
    fn what_is_no_list_of_extensions_is_an_error() {
        for line in [
            ";",
            "=",
            "permessage-deflate;",
            "permessage-deflate; ",
            "permessage-deflate; ;",
            "permessage-deflate; a=",
            "permessage-deflate; a=\"",
            "permessage-deflate; a=\"\"",
            "permessage-deflate; a=\"b",
            "permessage-deflate; a=\"b\\",
            "permessage-deflate; a=\"b c\"",
            "permessage-deflate; a=\"b\"c",
            "permessage-deflate; a b",
            "permessage-deflate a",
            "permessage/deflate",
            "permessage-deflate; a={}",
            "permessage-d\u{e9}flate",
            // Also behind an offer that would do.
            "permessage-deflate, other; =1",
        ] {
            assert_eq!(
                negotiate(&[line], &DeflateOptions::default()),
                Err(MalformedExtensions),
                "{line}"
            );
        }
    }

    #[test]
    fn what_a_browser_offers() {
        let chromium = "permessage-deflate; client_max_window_bits";
        assert_eq!(
            negotiate(&[chromium], &DeflateOptions::default())
                .unwrap()
                .as_deref(),
            Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover")
        );
    }
}
