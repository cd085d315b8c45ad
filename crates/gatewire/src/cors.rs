//! The application's rules for pages of other origins, on the routes that are not a gateway's: a layer of tower-http, made
//! of the same [`Cors`] by which the servers of the gateways decide.

use std::str::FromStr;
use std::time::Duration;

use gatewire_server::{Cors, Origin};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

/// The headers that tell a browser what `cors` says. Requests are answered whatever their origin: what their answers hold
/// is for browsers to keep from pages.
pub(crate) fn layer(cors: &Cors) -> CorsLayer {
    for danger in cors.dangers() {
        tracing::warn!(target: "gatewire", context = "App", "enable_cors: {danger}");
    }
    let is_any = cors.origin == Origin::Any;
    let origin = match cors.origin.clone() {
        Origin::Any => AllowOrigin::any(),
        Origin::Reflect => AllowOrigin::mirror_request(),
        list @ Origin::List(_) => AllowOrigin::predicate(move |origin, _| list.allows(origin.as_bytes())),
    };
    let headers = cors
        .allowed_headers
        .as_deref()
        .map_or_else(AllowHeaders::mirror_request, |names| {
            AllowHeaders::list(read(names))
        });
    let layer = CorsLayer::new()
        .allow_origin(origin)
        .allow_methods(AllowMethods::list(read(&cors.methods)))
        .allow_headers(headers)
        .expose_headers(read(&cors.exposed_headers))
        // Browsers refuse credentials where every origin is allowed, and so does the layer, by a panic.
        .allow_credentials(cors.credentials && !is_any);
    match cors.max_age {
        Some(seconds) => layer.max_age(Duration::from_secs(seconds.into())),
        None => layer,
    }
}

/// The names that can stand in a header.
fn read<T: FromStr>(names: &[String]) -> Vec<T> {
    let read = |name: &String| match name.parse() {
        Ok(name) => Some(name),
        Err(_) => {
            tracing::warn!(target: "gatewire", context = "App", "enable_cors: {name:?} cannot stand in a header and is left out");
            None
        }
    };
    names.iter().filter_map(read).collect()
}
