//! WebSocket (RFC 6455), the server side: the check of an upgrade request, ready-made server frames, and a decoder of
//! what a client sends. It answers nothing by itself: pongs, the close handshake's reply and every time limit belong to
//! the caller, and no extension is negotiated, so a set RSV bit is a [`Violation`] (permessage-deflate, RFC 7692, would
//! claim RSV1 in a module `deflate` beside these).
//!
//! One connection goes through it like this: [`accept_upgrade`] checks the request and gives the `Sec-WebSocket-Accept`
//! value for the 101 response; then each read is given to [`Decoder::receive`] until it has no more events; frames to
//! the client come from [`put_frame`], [`seal`], [`header`] and [`close_frame`].

mod close;
mod decoder;
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
pub use frame::{FrameHeader, MAX_HEADER, Opcode, header, put_frame, put_masked_frame, seal};
pub use handshake::{HandshakeError, Upgrade, VERSION, accept_key, accept_upgrade};
pub use violation::Violation;
