//! What goes over the wire, from the client's side: WebSocket frames and, above them, the two protocols that the
//! servers speak; below them, TLS. Written by hand for this one purpose; it is no general client.

pub(crate) mod binary;
pub(crate) mod flavour;
pub(crate) mod frame;
pub(crate) mod http;
pub(crate) mod tls;
