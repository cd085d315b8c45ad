//! HTTP compression of polling responses: gzip or deflate, as the client accepts, above a threshold. WebSocket messages
//! are not its concern.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY};
use http::{HeaderMap, HeaderValue};

/// A way to compress a body (RFC 9110 §8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Gzip,
    Deflate,
}

impl Encoding {
    /// The one that the client likes best; gzip among equals. `None` if it accepts neither.
    pub(crate) fn accepted(headers: &HeaderMap) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        let values = headers
            .get_all(ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok());
        for one in values.flat_map(|value| value.split(',')) {
            let mut words = one.split(';').map(str::trim);
            let encoding = match words.next() {
                Some(name) if name.eq_ignore_ascii_case("gzip") || name == "*" => Self::Gzip,
                Some(name) if name.eq_ignore_ascii_case("deflate") => Self::Deflate,
                _ => continue,
            };
            let weight = words
                .find_map(|word| word.strip_prefix("q=")?.parse().ok())
                .unwrap_or(1.0);
            let is_better = best.is_none_or(|(other, before)| {
                weight > other || (weight == other && before == Self::Deflate && encoding == Self::Gzip)
            });
            if weight > 0.0 && is_better {
                best = Some((weight, encoding));
            }
        }
        best.map(|(_, encoding)| encoding)
    }

    /// The compressed body; `None` if it would not be smaller.
    pub(crate) fn compress(self, body: &[u8]) -> Option<Vec<u8>> {
        // Writing to a vector does not fail; if it ever did, the body would go out as it is.
        let compressed = match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(body).and_then(|()| encoder.finish()).ok()?
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(body).and_then(|()| encoder.finish()).ok()?
            }
        };
        (compressed.len() < body.len()).then_some(compressed)
    }

    /// Says in the headers that the body is compressed.
    pub(crate) fn declare(self, headers: &mut HeaderMap) {
        let name = match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        };
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
        headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn takes_what_the_client_likes_best() {
        let table = [
            ("gzip, deflate, br", Some(Encoding::Gzip)),
            ("deflate, gzip", Some(Encoding::Gzip)),
            ("deflate", Some(Encoding::Deflate)),
            ("gzip;q=0.5, deflate;q=0.8", Some(Encoding::Deflate)),
            ("gzip;q=0, deflate;q=0", None),
            ("*", Some(Encoding::Gzip)),
            ("br, identity", None),
            ("", None),
        ];
        for (accepted, wanted) in table {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(accepted));
            assert_eq!(Encoding::accepted(&headers), wanted, "{accepted:?}");
        }
        assert_eq!(Encoding::accepted(&HeaderMap::new()), None);
    }

    #[test]
    fn what_is_compressed_comes_back() {
        let body = vec![b'a'; 5_000];
        let mut unpacked = Vec::new();
        let packed = Encoding::Gzip.compress(&body).unwrap();
        flate2::read::GzDecoder::new(&*packed)
            .read_to_end(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked, body);

        unpacked.clear();
        let packed = Encoding::Deflate.compress(&body).unwrap();
        flate2::read::ZlibDecoder::new(&*packed)
            .read_to_end(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked, body);
    }

    #[test]
    fn what_does_not_get_smaller_is_left_alone() {
        assert_eq!(Encoding::Gzip.compress(b"2"), None);
    }
}
