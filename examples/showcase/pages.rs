//! The pages, embedded in the program, a folder each; and the official client script from a local npm install. Without
//! one the script is not found here, and the page takes it from the client's CDN.

use std::env;
use std::path::PathBuf;

use axum::Router;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

/// What the pages may load: themselves, and the client's CDN.
const POLICY: &str = "default-src 'self'; script-src 'self' https://cdn.socket.io; img-src 'self' data:; \
                      connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Each file of a page at its own path.
macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$((concat!("/", $path), include_str!(concat!("pages/", $path)))),*]
    };
}

const FILES: &[(&str, &str)] = files![
    "shared/style.css",
    "shared/nav.js",
    "shared/chart.js",
    "shared/inbox.js",
    "shared/people.js",
    "shared/socketio.js",
    "shared/native.js",
    "chat/style.css",
    "chat/app.js",
    "chat/view.js",
    "chat/plot.js",
    "board/style.css",
    "board/app.js",
    "board/canvas.js",
    "text/style.css",
    "text/app.js",
    "text/edit.js",
    "text/window.js",
    "dashboard/style.css",
    "dashboard/app.js",
    "compare/style.css",
    "compare/app.js",
    "compare/ways.js",
];

/// Where the pages are. The chat is one page, which goes by its path.
const PAGES: &[(&str, &str)] = &[
    ("/", include_str!("pages/chat/index.html")),
    ("/native", include_str!("pages/chat/index.html")),
    ("/board", include_str!("pages/board/index.html")),
    ("/text", include_str!("pages/text/index.html")),
    ("/dashboard", include_str!("pages/dashboard/index.html")),
    ("/compare", include_str!("pages/compare/index.html")),
];

/// The routes of the pages.
pub(crate) fn router() -> Router {
    let router = Router::new().route("/client/socket.io.js", get(client));
    PAGES.iter().chain(FILES).fold(router, |router, &(path, text)| {
        router.route(path, get(move || async move { file(content_type(path), text) }))
    })
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.') {
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => JAVASCRIPT,
        _ => "text/html; charset=utf-8",
    }
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

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
