//! The server side of the [Socket.IO Admin UI](https://admin.socket.io), as the npm package `@socket.io/admin-ui` 0.5 has
//! it: a namespace of its own, `/admin`, that tells what happens on the server and takes commands. What it tells is what
//! the hub lets anybody see; there is no other way in.
//!
//! ```
//! use gatewire_admin::{AdminOptions, instrument};
//! use gatewire_hub::Io;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), gatewire_admin::InstrumentError> {
//! let io = Io::default();
//! // The hash of "changeit".
//! let hash = "$2b$10$heqvAkYMez.Va6Et2uXInOnkCT6/uQj1brkrbyG3LpopDklcq7ZOS";
//! instrument(&io, AdminOptions::basic("admin", hash))?;
//! # Ok(())
//! # }
//! ```
//!
//! The page at <https://admin.socket.io> connects from another origin: the server's CORS options must allow that, with
//! credentials.
//!
//! # What it costs
//!
//! Nothing without [`instrument`]. With it each message adds to two counters; in [`Mode::Development`], moreover, each event is
//! told to the namespace while somebody is in it (always in a cluster, whose other servers may have somebody).
//!
//! # Where it differs from Node
//!
//! - `clientId` is made from the connection's id instead of being its beginning: that is the key to a session.
//! - A command for a namespace that does not exist is dropped instead of creating it, and a bad one does not end the server.
//! - Sessions in memory end after a day, and are limited in number.
//! - Passwords are checked one at a time, beside the runtime's own threads.

mod auth;
mod commands;
mod date;
mod instrument;
mod options;
mod stats;
mod store;
mod watch;

pub use instrument::{InstrumentError, instrument};
pub use options::{AdminOptions, Mode};
pub use store::{MemoryStore, SessionStore};
