//! Engines and plain WebSocket servers behind TLS, as clients of rustls see them.

mod certificates;
mod events;
mod http2;
mod nonsense;
mod records;
mod reload;
mod support;
