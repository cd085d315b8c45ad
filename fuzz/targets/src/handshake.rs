//! What is kept of the request that opens a connection, and what applications read of it: any target and any headers, one a
//! line as `name: value` behind the target. Patterns of namespaces and ids, too, which are read from the same text.

use gatewire_hub::{Handshake, HandshakeParts, Id, NamespacePattern};
use gatewire_proto::engineio::Query;
use http::Uri;

use crate::headers;

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let mut lines = input.split(|&byte| byte == b'\n');
    let target = lines.next().unwrap_or_default();
    let Ok(uri) = Uri::try_from(target) else { return };
    let headers = headers(lines);
    let handshake = Handshake::new(HandshakeParts {
        headers: &headers,
        uri: &uri,
        peer: None,
        secure: false,
    });
    assert_eq!(
        handshake.url(),
        uri.path_and_query().map_or("/", |target| target.as_str())
    );
    for (name, value) in handshake.headers().iter() {
        assert!(headers.contains_key(name));
        assert_eq!(handshake.headers().get(name), Some(value));
    }
    for (name, _) in handshake.query_pairs() {
        assert!(handshake.query(&name).is_some());
    }
    serde_json::to_string(&handshake).expect("it is an object");

    let path = uri.path();
    let pattern = NamespacePattern::new(path);
    assert!(pattern.has_params() || pattern.matches(&format!("/{}", path.strip_prefix('/').unwrap_or(path))));
    let _ = NamespacePattern::new("/:tenant/room-:id").matches(path);
    assert!(pattern.covers(&pattern));
    let query = Query::parse(uri.query().unwrap_or_default());
    if let Some(id) = query.sid.as_deref().and_then(Id::parse) {
        assert_eq!(Some(id.as_str()), query.sid.as_deref());
    }
}
