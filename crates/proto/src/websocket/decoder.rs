//! The receive side of one server connection: bytes in, messages and control frames out. It keeps the rules that span
//! frames (fragments, limits, UTF-8, nothing after a close) and only what is unfinished; it neither answers nor times
//! out anything.

use super::close::CloseFrame;
use super::frame::{ClientHeader, Opcode};
use super::unfinished::{Step, Unfinished};
use super::{Deflate, Violation, mask};

/// What a client may send; beyond it the connection is failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// The longest message in bytes, all its fragments together. Checked from the frame header, before the payload
    /// comes; if it is compressed, while it is inflated.
    pub max_message: usize,
    /// The most frames that one message may come in; one is always accepted.
    pub max_fragments: usize,
}

impl Default for Limits {
    /// 1,000,000 bytes (the default `maxPayload` of Engine.IO) in at most 100,000 fragments.
    fn default() -> Self {
        Self {
            max_message: 1_000_000,
            max_fragments: 100_000,
        }
    }
}

/// Decodes what one client sends. Small while nothing is unfinished: it owns no buffer then.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    /// Boxed because most connections are between two messages most of the time.
    unfinished: Option<Box<Unfinished>>,
    /// A close frame or a violation was met: nothing is decoded any more.
    closed: bool,
    /// What was negotiated of permessage-deflate.
    deflate: Option<Deflate>,
}

/// What one call of [`Decoder::receive`] found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Received<'a> {
    /// How many bytes of the input are done with. All of them if there is no event.
    pub consumed: usize,
    /// The next event; `None` if the input holds no further whole one.
    pub event: Option<Event<'a>>,
}

/// A message or a control frame of the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// A ping, to be answered with a pong of the same payload (at most 125 bytes).
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// The client begins or answers the close handshake; the last event of a connection.
    Close(Option<CloseFrame<'a>>),
}

impl Decoder {
    /// A decoder for a connection that was just upgraded.
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            unfinished: None,
            closed: false,
            deflate: None,
        }
    }

    /// Lets the client send compressed messages, as they were negotiated (RFC 7692).
    #[must_use]
    pub const fn with_deflate(mut self, deflate: Option<Deflate>) -> Self {
        self.deflate = deflate;
        self
    }

    /// Decodes the next event of `input`, unmasking in place.
    ///
    /// Call it again with what was not consumed until there is no event: then all of the input is consumed, and what is
    /// unfinished of it is kept inside. (The last call matters even if nothing is left: it frees what held the event
    /// before it.) A message that lies whole in `input` is returned as a slice of it; one that came in pieces is
    /// returned from a buffer which the next call frees, as is one that was compressed. So is a large binary one: whoever
    /// keeps its bytes [owns](crate::large::own) them without a copy.
    ///
    /// After a close frame or an error everything is consumed and ignored.
    ///
    /// # Errors
    ///
    /// The first [`Violation`] met; events before it were returned by the calls before.
    // So that the event of a short message stays in registers: passed through memory it costs about 15 ns.
    #[inline(always)]
    pub fn receive<'a>(&'a mut self, input: &'a mut [u8]) -> Result<Received<'a>, Violation> {
        if self.unfinished.is_none()
            && !self.closed
            && let Some((opcode, mask, len)) = ClientHeader::decode_short(input)
            && len <= self.limits.max_message
        {
            return self.whole_frame(opcode, mask, input, ClientHeader::SHORT, len);
        }
        self.receive_any(input)
    }

    #[inline(never)]
    fn receive_any<'a>(&'a mut self, input: &'a mut [u8]) -> Result<Received<'a>, Violation> {
        if self
            .unfinished
            .as_mut()
            .is_some_and(|unfinished| unfinished.settle())
        {
            self.unfinished = None;
        }
        if self.unfinished.is_none() && !self.closed {
            if input.is_empty() {
                return Ok(Received {
                    consumed: 0,
                    event: None,
                });
            }
            // What is not a whole, valid, unfragmented frame takes the long way, errors included.
            if let Ok(Some(header)) = ClientHeader::decode(input, false)
                && header.fin
                && header.opcode != Opcode::Continuation
                && header.len <= (input.len() - header.size) as u64
                && (header.len <= self.limits.max_message as u64 || header.opcode.is_control())
                && !Unfinished::shares(header.opcode, header.len)
            {
                return self.whole_frame(
                    header.opcode,
                    header.mask,
                    input,
                    header.size,
                    header.len as usize,
                );
            }
        }
        self.receive_in_pieces(input)
    }

    /// The event of a frame whose payload is `input[start..start + len]`, still masked.
    #[inline]
    fn whole_frame<'a>(
        &mut self,
        opcode: Opcode,
        key: [u8; 4],
        input: &'a mut [u8],
        start: usize,
        len: usize,
    ) -> Result<Received<'a>, Violation> {
        let consumed = start + len;
        let payload = &mut input[start..consumed];
        mask::apply(payload, key);
        let event = event(opcode, payload, &mut self.closed)?;
        Ok(Received {
            consumed,
            event: Some(event),
        })
    }

    #[cfg(test)]
    pub(super) const fn holds_buffer(&self) -> bool {
        self.unfinished.is_some()
    }

    fn receive_in_pieces<'a>(&'a mut self, input: &'a mut [u8]) -> Result<Received<'a>, Violation> {
        let all = input.len();
        if self.closed {
            self.unfinished = None;
            return Ok(Received {
                consumed: all,
                event: None,
            });
        }
        let unfinished = self.unfinished.get_or_insert_default();
        let step = unfinished
            .advance(&self.limits, self.deflate, input)
            .inspect_err(|_| self.closed = true)?;
        let (consumed, event) = match step {
            Step::Starved => (all, None),
            Step::Whole { opcode, start, end } => {
                (end, Some(event(opcode, &input[start..end], &mut self.closed)?))
            }
            Step::Control {
                opcode,
                len,
                consumed,
            } => (
                consumed,
                Some(event(opcode, unfinished.control(len), &mut self.closed)?),
            ),
            Step::Message { consumed } => (consumed, unfinished.message()),
        };
        Ok(Received { consumed, event })
    }
}

/// The event of a whole unmasked payload. `closed` is set by a close frame and by an error.
#[inline]
fn event<'a>(opcode: Opcode, payload: &'a [u8], closed: &mut bool) -> Result<Event<'a>, Violation> {
    Ok(match opcode {
        Opcode::Text => match std::str::from_utf8(payload) {
            Ok(text) => Event::Text(text),
            Err(_) => {
                *closed = true;
                return Err(Violation::InvalidUtf8);
            }
        },
        // A continuation is never an event by itself: `Unfinished::admit` wants a message before it.
        Opcode::Binary | Opcode::Continuation => Event::Binary(payload),
        Opcode::Ping => Event::Ping(payload),
        Opcode::Pong => Event::Pong(payload),
        Opcode::Close => {
            *closed = true;
            Event::Close(CloseFrame::decode(payload)?)
        }
    })
}
