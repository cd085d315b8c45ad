//! The check of an upgrade request on any headers, one a line as `name: value`: never a panic, and what is accepted
//! keeps the rules that can be told from outside.

use gatewire_proto::websocket::{HandshakeError, accept_key, accept_upgrade};
use http::header::HeaderValue;
use http::{Method, Version};

use crate::headers;

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let headers = headers(input.split(|&byte| byte == b'\n'));
    assert_eq!(
        accept_upgrade(&Method::POST, Version::HTTP_11, &headers),
        Err(HandshakeError::Method)
    );
    match accept_upgrade(&Method::GET, Version::HTTP_11, &headers) {
        Ok(upgrade) => {
            let key = headers["sec-websocket-key"].as_bytes();
            assert_eq!(key.len(), 24);
            assert_eq!(upgrade.accept(), Some(&*accept_key(key)));
            assert_eq!(upgrade.accept().map(str::len), Some(28));
            for protocol in upgrade.protocols() {
                // Whatever is offered can be sent back in a header.
                assert!(!protocol.is_empty() && HeaderValue::from_str(protocol).is_ok());
            }
        }
        Err(error) => assert!(error.status().is_client_error()),
    }
}
