//! What happens before a request is handed on, and what a client sees that takes too much: servers of each kind, and raw
//! sockets that say what they like.

mod limits;
mod messages;
mod proxies;
mod support;
