//! What proxies say of the clients behind them: the PROXY protocol, versions 1 and 2, before the first byte of a connection
//! ([`decode`]), and the fields `X-Forwarded-For` and `Forwarded` (RFC 7239) of a request ([`Hop`]). Whether a proxy is to be
//! believed is not decided here.

mod forwarded;
mod header;
#[cfg(test)]
mod tests;

pub use forwarded::{Hop, forwarded, is_secure, x_forwarded_for};
pub use header::{Announcement, HeaderError, Source, decode};
