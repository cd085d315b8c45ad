//! Engines and plain WebSocket servers behind TLS, as clients of rustls see them.

mod certificates;
mod records;
mod reload;
mod support;
