//! Cheap polling: a response that a client has already is 304 without a body (RFC 9110 §8.8.3, §13.1.2).

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use http::request::Parts;
use std::convert::Infallible;

/// What the client has already, by its `If-None-Match`: a parameter of a handler, which answers with
/// [`reply`](Self::reply).
///
/// ```
/// use gatewire::controller::ETag;
/// use gatewire::prelude::*;
///
/// #[controller("/prices")]
/// struct PricesController;
///
/// #[routes]
/// impl PricesController {
///     #[get("/")]
///     fn prices(&self, etag: ETag) -> impl axum::response::IntoResponse + use<> {
///         let version = 17;
///         etag.reply(version, || axum::Json(["a", "b"]))
///     }
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ETag(HeaderMap);

impl ETag {
    /// The value that `make` makes, with a tag of `version`, or 304 if the client has that version; `make` is not called
    /// then. A version is anything that is another one when the answer is: a number, a time, the state itself. The tag is
    /// weak: it says that the answer means the same, not that its bytes are the same.
    pub fn reply<R: IntoResponse>(&self, version: impl Hash, make: impl FnOnce() -> R) -> Response {
        self.answer(&format!("W/\"{}\"", hash(&version)), make)
    }

    /// As [`reply`](Self::reply), with a strong tag: for answers that are the same byte for byte.
    pub fn reply_strong<R: IntoResponse>(&self, version: impl Hash, make: impl FnOnce() -> R) -> Response {
        self.answer(&format!("\"{}\"", hash(&version)), make)
    }

    fn answer<R: IntoResponse>(&self, tag: &str, make: impl FnOnce() -> R) -> Response {
        let mut response = if self.has(tag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            make().into_response()
        };
        if let Ok(value) = HeaderValue::from_str(tag) {
            response.headers_mut().insert(ETAG, value);
        }
        response
    }

    /// Whether one of the client's tags is this one, by weak comparison, which is that of `If-None-Match`.
    fn has(&self, tag: &str) -> bool {
        let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
        let own = opaque(tag);
        let lists = self.0.get_all(IF_NONE_MATCH).iter();
        lists.filter_map(|list| list.to_str().ok()).any(|list| {
            // Our tags have no comma in them.
            let mut tags = list.split(',').map(str::trim);
            tags.any(|other| other == "*" || opaque(other) == own)
        })
    }
}

/// The same in every run of one build, which is all that a tag needs.
fn hash(version: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    version.hash(&mut hasher);
    format!("{:x}", hasher.finish())
}

impl<S: Send + Sync> FromRequestParts<S> for ETag {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let mut known = HeaderMap::new();
        for value in parts.headers.get_all(IF_NONE_MATCH) {
            known.append(IF_NONE_MATCH, value.clone());
        }
        Ok(Self(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(lists: &[&str]) -> ETag {
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append(IF_NONE_MATCH, HeaderValue::from_str(list).unwrap());
        }
        ETag(headers)
    }

    #[test]
    fn what_the_client_has_is_not_made_again() {
        let first = asked(&[]).reply(7, || "seven");
        assert_eq!(first.status(), StatusCode::OK);
        let tag = first.headers()[ETAG].to_str().unwrap().to_owned();
        assert!(tag.starts_with("W/\""));
        let strong = tag.trim_start_matches("W/").to_owned();
        for list in [&*tag, &strong, "*", &format!("\"x\", {tag}")] {
            let again = asked(&[list]).reply(7, || -> &'static str { unreachable!() });
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{list}");
            assert_eq!(again.headers()[ETAG], tag.as_str());
        }
        for list in ["\"x\"", "", "W/"] {
            assert_eq!(asked(&[list]).reply(7, || "").status(), StatusCode::OK, "{list}");
        }
        assert_eq!(asked(&[&tag]).reply(8, || "").status(), StatusCode::OK);
        let strong = asked(&[]).reply_strong(7, || "");
        assert!(!strong.headers()[ETAG].to_str().unwrap().starts_with("W/"));
    }
}
