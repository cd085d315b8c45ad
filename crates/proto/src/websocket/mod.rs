//! WebSocket (RFC 6455), the server side: the check of an upgrade request, ready-made server frames, and a decoder of
//! what a client sends. It answers nothing by itself: pongs, the close handshake's reply and every time limit belong to
//! the caller. The one extension is permessage-deflate (RFC 7692): [`Deflate::negotiate`] chooses among a client's offers,
//! and [`Decoder::with_deflate`] then accepts RSV1. Any other reserved bit is a [`Violation`].
//!
//! One connection goes through it like this: [`accept_upgrade`] checks the request and gives the `Sec-WebSocket-Accept`
//! value for the 101 response; then each read is given to [`Decoder::receive`] until it has no more events; frames to
//! the client come from [`put_frame`], [`put_deflated_frame`], [`seal`], [`header`] and [`close_frame`].

mod close;
mod decoder;
mod deflate;
mod frame;
mod handshake;
mod mask;
mod unfinished;
mod utf8;
mod violation;

#[cfg(test)]
mod tests;

pub use close::{CloseCode, CloseFrame, close_frame};
pub use decoder::{Decoder, Event, Limits, Received};
pub use deflate::{Deflate, DeflateOptions, MalformedExtensions, put_deflated_frame};
pub use frame::{FrameHeader, MAX_HEADER, Opcode, header, put_frame, put_masked_frame, seal};
pub use handshake::{
    HandshakeError, Upgrade, VERSION, accept_connect, accept_key, accept_upgrade, asks_for_websocket,
};
pub use violation::Violation;
