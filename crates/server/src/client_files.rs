//! The browser bundles of the official client, served below the engine's path as the Node server does. They are read
//! once, at start, from the `dist` folder of an npm install: nothing of a request ever becomes a file name.

use std::path::{Path, PathBuf};
use std::{fs, io};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::compression::Encoding;
use crate::http::{self as answer, Body};

/// What the Node server serves, each with its source map.
const NAMES: [&str; 8] = [
    "socket.io.js",
    "socket.io.js.map",
    "socket.io.min.js",
    "socket.io.min.js.map",
    "socket.io.esm.min.js",
    "socket.io.esm.min.js.map",
    "socket.io.msgpack.min.js",
    "socket.io.msgpack.min.js.map",
];

/// The bundles of one folder.
pub(crate) struct ClientFiles(Vec<File>);

struct File {
    name: &'static str,
    plain: Bytes,
    gzip: Option<Bytes>,
    deflate: Option<Bytes>,
    etag: HeaderValue,
}

/// Why the client's bundles cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientFilesError {
    /// A file is there but cannot be read.
    #[error("the client file {path} cannot be read: {kind}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        kind: io::ErrorKind,
    },
    /// The folder holds none of the bundles.
    #[error(
        "the folder {path} holds no socket.io.js: name the `dist` folder of an installed socket.io-client"
    )]
    Empty {
        /// The folder.
        path: PathBuf,
    },
}

impl ClientFiles {
    /// Reads what there is of the bundles in `folder`.
    pub(crate) fn read(folder: &Path) -> Result<Self, ClientFilesError> {
        let mut files = Vec::new();
        for name in NAMES {
            let path = folder.join(name);
            match fs::read(&path) {
                Ok(plain) => files.push(File::new(name, plain)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(ClientFilesError::Read {
                        path,
                        kind: error.kind(),
                    });
                }
            }
        }
        if files.is_empty() {
            return Err(ClientFilesError::Empty {
                path: folder.to_owned(),
            });
        }
        Ok(Self(files))
    }

    /// The answer to a request for `name`; `None` if it is no bundle, but a request to the engine.
    pub(crate) fn answer(&self, name: &str, request: &HeaderMap) -> Option<Response<Body>> {
        let file = self.0.iter().find(|file| file.name == name)?;
        let is_known = request.get(IF_NONE_MATCH).is_some_and(|known| {
            known.as_bytes().strip_prefix(b"W/").unwrap_or(known.as_bytes()) == file.etag.as_bytes()
        });
        if is_known {
            return Some(answer::empty(StatusCode::NOT_MODIFIED));
        }
        Some(file.response(Encoding::accepted(request)))
    }
}

impl File {
    fn new(name: &'static str, plain: Vec<u8>) -> Self {
        let compress = |encoding: Encoding| encoding.compress(&plain).map(Bytes::from);
        let (gzip, deflate) = (compress(Encoding::Gzip), compress(Encoding::Deflate));
        let etag = HeaderValue::from_str(&format!("\"{}\"", version(&plain)));
        Self {
            name,
            gzip,
            deflate,
            // A version is made of digits, letters and dots.
            etag: etag.unwrap_or(HeaderValue::from_static("\"0\"")),
            plain: plain.into(),
        }
    }

    fn response(&self, accepted: Option<Encoding>) -> Response<Body> {
        let compressed = accepted.and_then(|encoding| {
            let body = match encoding {
                Encoding::Gzip => &self.gzip,
                Encoding::Deflate => &self.deflate,
            };
            Some((encoding, body.clone()?))
        });
        let kind = if self.name.ends_with(".map") {
            "application/json; charset=utf-8"
        } else {
            "application/javascript; charset=utf-8"
        };
        let mut response = Response::new(Body::default());
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=0"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(ETAG, self.etag.clone());
        let body = match compressed {
            Some((encoding, body)) => {
                encoding.declare(headers);
                body
            }
            None => self.plain.clone(),
        };
        headers.insert(CONTENT_LENGTH, body.len().into());
        *response.body_mut() = Body::new(body);
        response
    }
}

/// The version in the banner of a bundle, ` * Socket.IO v4.8.4`; where there is none (in a source map) the length stands
/// for it.
fn version(file: &[u8]) -> String {
    const BANNER: &[u8] = b"Socket.IO v";
    let head = &file[..file.len().min(200)];
    let at = head.windows(BANNER.len()).position(|window| window == BANNER);
    let version: Vec<u8> = at.map_or_else(Vec::new, |at| {
        let rest = head[at + BANNER.len()..].iter();
        rest.copied()
            .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'.' || *byte == b'-')
            .collect()
    });
    String::from_utf8(version)
        .ok()
        .filter(|version| !version.is_empty())
        .unwrap_or_else(|| format!("{:x}", file.len()))
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
    use http_body_util::BodyExt;

    use super::*;

    const BUNDLE: &str = "/*!\n * Socket.IO v4.8.4\n * (c) 2014-2026\n */\n";

    fn files() -> ClientFiles {
        let bundle = format!("{BUNDLE}{}", "x();".repeat(500));
        ClientFiles(vec![
            File::new("socket.io.js", bundle.into_bytes()),
            File::new("socket.io.js.map", b"{}".to_vec()),
        ])
    }

    fn header(name: http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_bundle_has_its_version_as_tag() {
        let response = files().answer("socket.io.js", &HeaderMap::new()).unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[ETAG], "\"4.8.4\"");
        assert_eq!(
            response.headers()[CONTENT_TYPE],
            "application/javascript; charset=utf-8"
        );
        assert_eq!(response.headers()[CACHE_CONTROL], "public, max-age=0");
    }

    #[test]
    fn who_has_it_is_told_so() {
        for known in ["\"4.8.4\"", "W/\"4.8.4\""] {
            let response = files()
                .answer("socket.io.js", &header(IF_NONE_MATCH, known))
                .unwrap();
            assert_eq!(response.status(), 304, "{known}");
        }
        let other = files()
            .answer("socket.io.js", &header(IF_NONE_MATCH, "\"4.8.3\""))
            .unwrap();
        assert_eq!(other.status(), 200);
    }

    #[tokio::test]
    async fn a_bundle_is_compressed_for_who_accepts_it() {
        let response = files()
            .answer("socket.io.js", &header(ACCEPT_ENCODING, "gzip"))
            .unwrap();
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
        let length = response.headers()[CONTENT_LENGTH].to_str().unwrap().to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body.len().to_string(), length);
        assert!(body.len() < 500);
    }

    #[test]
    fn other_names_are_not_files() {
        for name in ["", "nope.js", "../Cargo.toml", "socket.io.js/", "package.json"] {
            assert!(files().answer(name, &HeaderMap::new()).is_none(), "{name:?}");
        }
    }

    #[test]
    fn a_folder_without_bundles_is_an_error() {
        assert!(matches!(
            ClientFiles::read(Path::new("src")),
            Err(ClientFilesError::Empty { .. })
        ));
    }
}
