//! The page of the chat, embedded in the program, and the official client script from a local npm install. Without one
//! the script is not found here, and the page takes it from the client's CDN.

use std::env;
use std::path::PathBuf;

use axum::Router;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// What the page may load: itself, and the client's CDN.
const POLICY: &str = "default-src 'self'; script-src 'self' https://cdn.socket.io; img-src 'self' data:; \
                      connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The routes of the page.
pub(crate) fn router() -> Router {
    Router::new()
        .route("/", get(|| async { file(HTML, include_str!("page/index.html")) }))
        .route(
            "/style.css",
            get(|| async { file(CSS, include_str!("page/style.css")) }),
        )
        .route(
            "/app.js",
            get(|| async { file(JAVASCRIPT, include_str!("page/app.js")) }),
        )
        .route(
            "/plot.js",
            get(|| async { file(JAVASCRIPT, include_str!("page/plot.js")) }),
        )
        .route(
            "/view.js",
            get(|| async { file(JAVASCRIPT, include_str!("page/view.js")) }),
        )
        .route("/client/socket.io.js", get(client))
}

async fn client() -> Result<impl IntoResponse, StatusCode> {
    match tokio::fs::read(client_folder().join("socket.io.min.js")).await {
        Ok(script) => Ok(file(JAVASCRIPT, script)),
        Err(_) => Err(StatusCode::NOT_FOUND),
    }
}

/// `$GATEWIRE_CLIENT_DIR`, or where `npm ci` in `interop/` puts the client.
fn client_folder() -> PathBuf {
    env::var_os("GATEWIRE_CLIENT_DIR").map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../interop/node_modules/socket.io-client/dist"
            ))
        },
        PathBuf::from,
    )
}

fn file<T>(content_type: &'static str, body: T) -> ([(HeaderName, &'static str); 4], T) {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, body)
}
