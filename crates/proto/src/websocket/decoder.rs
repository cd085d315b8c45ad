//! The receive side of one server connection: bytes in, messages and control frames out. It keeps the rules that span
//! frames (fragments, limits, UTF-8, nothing after a close) and only what is unfinished; it neither answers nor times
//! out anything.

use super::close::{CloseCode, CloseFrame};
use super::frame::{ClientHeader, MAX_CLIENT_HEADER, MAX_CONTROL, Opcode};
use super::mask;
use super::utf8::{InvalidUtf8, PartialText};

/// How many bytes are unmasked, checked and copied in one go, so that they are still in the first-level cache at each
/// step. A multiple of four, for the mask.
const BLOCK: usize = 8 * 1024;

/// What a client may send; beyond it the connection is failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// The longest message in bytes, all its fragments together. Checked from the frame header, before the payload
    /// comes.
    pub max_message: usize,
    /// The most frames that one message may come in.
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

/// The client broke the protocol or a limit: the connection is to be failed (RFC 6455 §7.1.7) with
/// [`close_code`](Self::close_code).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// RFC 6455 §5.2: no extension is in use.
    #[error("the frame has reserved bits set ({0:#04x}), but no extension was negotiated")]
    ReservedBits(u8),
    /// RFC 6455 §5.2.
    #[error("the frame has the unknown opcode {0:#x}")]
    UnknownOpcode(u8),
    /// RFC 6455 §5.1.
    #[error("the frame is not masked, as every frame of a client must be")]
    Unmasked,
    /// RFC 6455 §5.5.
    #[error("the {0:?} frame is fragmented, which control frames must not be")]
    FragmentedControl(Opcode),
    /// RFC 6455 §5.5.
    #[error("the {0:?} frame is longer than the 125 bytes allowed to control frames")]
    ControlTooLong(Opcode),
    /// RFC 6455 §5.2.
    #[error("the payload length {0} is not written in the shortest form")]
    LengthNotMinimal(u64),
    /// RFC 6455 §5.2.
    #[error("the 64-bit payload length has its most significant bit set")]
    LengthTopBit,
    /// RFC 6455 §5.4.
    #[error("a continuation frame came, but no fragmented message is open")]
    UnexpectedContinuation,
    /// RFC 6455 §5.4.
    #[error("a new message began before the last fragment of the message before it")]
    InterruptedMessage,
    /// RFC 6455 §8.1, for text messages and the reason of a close frame.
    #[error("the text is not valid UTF-8")]
    InvalidUtf8,
    /// RFC 6455 §5.5.1.
    #[error("the close frame's body has one byte, where a code has two")]
    CloseBodyTooShort,
    /// RFC 6455 §7.4.
    #[error("the close code {0} must not be sent")]
    CloseCode(u16),
    /// Beyond [`Limits::max_message`].
    #[error("the message has at least {len} bytes, more than the limit of {limit}")]
    MessageTooBig {
        /// The length so far, in bytes, with the frame that is refused.
        len: u64,
        /// The limit, in bytes.
        limit: usize,
    },
    /// Beyond [`Limits::max_fragments`].
    #[error("the message has more than the limit of {limit} fragments")]
    TooManyFragments {
        /// The limit, in frames.
        limit: usize,
    },
}

impl Violation {
    /// The code for the close frame that fails the connection.
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::InvalidUtf8 => CloseCode::INVALID_PAYLOAD,
            Self::MessageTooBig { .. } => CloseCode::TOO_BIG,
            Self::TooManyFragments { .. } => CloseCode::POLICY,
            Self::ReservedBits(_)
            | Self::UnknownOpcode(_)
            | Self::Unmasked
            | Self::FragmentedControl(_)
            | Self::ControlTooLong(_)
            | Self::LengthNotMinimal(_)
            | Self::LengthTopBit
            | Self::UnexpectedContinuation
            | Self::InterruptedMessage
            | Self::CloseBodyTooShort
            | Self::CloseCode(_) => CloseCode::PROTOCOL,
        }
    }
}

impl From<InvalidUtf8> for Violation {
    fn from(_: InvalidUtf8) -> Self {
        Self::InvalidUtf8
    }
}

impl Decoder {
    /// A decoder for a connection that was just upgraded.
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            unfinished: None,
            closed: false,
        }
    }

    /// Decodes the next event of `input`, unmasking in place.
    ///
    /// Call it again with what was not consumed until there is no event: then all of the input is consumed, and what is
    /// unfinished of it is kept inside. (The last call matters even if nothing is left: it frees what held the event
    /// before it.) A message that lies whole in `input` is returned as a slice of it; one that came in pieces is
    /// returned from a buffer which the next call frees.
    ///
    /// After a close frame or an error everything is consumed and ignored.
    ///
    /// # Errors
    ///
    /// The first [`Violation`] met; events before it were returned by the calls before.
    #[inline]
    pub fn receive<'a>(&'a mut self, input: &'a mut [u8]) -> Result<Received<'a>, Violation> {
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
            if let Ok(Some(header)) = ClientHeader::decode(input)
                && header.fin
                && header.opcode != Opcode::Continuation
                && header.len <= (input.len() - header.size) as u64
                && (header.len <= self.limits.max_message as u64 || header.opcode.is_control())
            {
                let consumed = header.size + header.len as usize;
                let payload = &mut input[header.size..consumed];
                mask::apply(payload, header.mask);
                let event = event(header.opcode, payload, &mut self.closed)?;
                return Ok(Received {
                    consumed,
                    event: Some(event),
                });
            }
        }
        self.receive_in_pieces(input)
    }

    #[inline(never)]
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
            .advance(&self.limits, input)
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
                Some(event(opcode, &unfinished.control[..len], &mut self.closed)?),
            ),
            Step::Message { consumed } => (consumed, unfinished.message.as_ref().map(Message::event)),
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

/// What came so far of a frame or a message that has not come whole.
#[derive(Debug)]
struct Unfinished {
    /// The begin of a frame header. Invariant: empty while `frame` is open.
    header: [u8; MAX_CLIENT_HEADER],
    header_len: u8,
    /// The frame whose header has come whole, and the payload not.
    frame: Option<OpenFrame>,
    /// The payload so far of an open control frame, unmasked; after that, of the event that was returned last.
    control: [u8; MAX_CONTROL],
    message: Option<Message>,
    /// The message was returned whole and is to be freed.
    delivered: bool,
}

#[derive(Debug)]
struct OpenFrame {
    opcode: Opcode,
    fin: bool,
    /// Begun where the payload goes on.
    mask: [u8; 4],
    /// How much of the payload has come, in bytes.
    len: usize,
    /// How much of the payload is to come, in bytes.
    left: usize,
}

/// A message that came in more than one frame, or in a frame that came in more than one read.
#[derive(Debug)]
struct Message {
    body: Body,
    fragments: usize,
}

#[derive(Debug)]
enum Body {
    Text(PartialText),
    Binary(Vec<u8>),
}

/// How far [`Unfinished::advance`] came.
enum Step {
    /// All input is used, and nothing is complete.
    Starved,
    /// A frame that is an event by itself lies in `input[start..end]`, unmasked.
    Whole {
        opcode: Opcode,
        start: usize,
        end: usize,
    },
    /// The first `len` bytes of `control` are the payload of a control frame.
    Control {
        opcode: Opcode,
        len: usize,
        consumed: usize,
    },
    /// `message` is complete.
    Message { consumed: usize },
}

impl Default for Unfinished {
    fn default() -> Self {
        Self {
            header: [0; MAX_CLIENT_HEADER],
            header_len: 0,
            frame: None,
            control: [0; MAX_CONTROL],
            message: None,
            delivered: false,
        }
    }
}

impl Unfinished {
    /// Frees a message that was returned; true if nothing else is unfinished.
    fn settle(&mut self) -> bool {
        if self.delivered {
            self.delivered = false;
            self.message = None;
        }
        self.header_len == 0 && self.frame.is_none() && self.message.is_none()
    }

    /// Goes through frames until something is complete or `input` is used up.
    fn advance(&mut self, limits: &Limits, input: &mut [u8]) -> Result<Step, Violation> {
        let mut at = 0;
        loop {
            if self.frame.is_none() {
                let Some((header, used)) = self.header(&input[at..])? else {
                    return Ok(Step::Starved);
                };
                at += used;
                self.admit(&header, limits)?;
                // Fits: a message is limited by a usize, a control frame by 125.
                let len = header.len as usize;
                let alone = header.opcode.is_control() || (header.fin && self.message.is_none());
                if alone && len <= input.len() - at {
                    let (start, end) = (at, at + len);
                    mask::apply(&mut input[start..end], header.mask);
                    return Ok(Step::Whole {
                        opcode: header.opcode,
                        start,
                        end,
                    });
                }
                self.open(&header, len);
            }
            let Some(frame) = &mut self.frame else {
                return Ok(Step::Starved);
            };
            let take = frame.left.min(input.len() - at);
            let piece = &mut input[at..at + take];
            at += take;
            if frame.opcode.is_control() {
                mask::apply(piece, frame.mask);
                self.control[frame.len..frame.len + take].copy_from_slice(piece);
            } else if let Some(message) = &mut self.message {
                message.append(piece, frame)?;
            }
            frame.mask = mask::rotate(frame.mask, take);
            frame.len += take;
            frame.left -= take;
            if frame.left > 0 {
                return Ok(Step::Starved);
            }
            let OpenFrame { opcode, fin, len, .. } = *frame;
            self.frame = None;
            if opcode.is_control() {
                return Ok(Step::Control {
                    opcode,
                    len,
                    consumed: at,
                });
            }
            if fin {
                if let Some(Message {
                    body: Body::Text(text),
                    ..
                }) = &self.message
                {
                    text.finish()?;
                }
                self.delivered = true;
                return Ok(Step::Message { consumed: at });
            }
        }
    }

    /// The next header and how much of `input` was used for it; `None` if that was all, and not enough.
    fn header(&mut self, input: &[u8]) -> Result<Option<(ClientHeader, usize)>, Violation> {
        if self.header_len == 0
            && let Some(header) = ClientHeader::decode(input)?
        {
            return Ok(Some((header, header.size)));
        }
        let have = usize::from(self.header_len);
        let added = input.len().min(MAX_CLIENT_HEADER - have);
        self.header[have..have + added].copy_from_slice(&input[..added]);
        match ClientHeader::decode(&self.header[..have + added])? {
            Some(header) => {
                self.header_len = 0;
                Ok(Some((header, header.size - have)))
            }
            None => {
                self.header_len = (have + added) as u8;
                Ok(None)
            }
        }
    }

    /// Checks a frame against the message it is part of, and against the limits.
    fn admit(&self, header: &ClientHeader, limits: &Limits) -> Result<(), Violation> {
        if header.opcode.is_control() {
            return Ok(());
        }
        let (fragments, before) = match (&self.message, header.opcode) {
            (None, Opcode::Continuation) => return Err(Violation::UnexpectedContinuation),
            (Some(message), Opcode::Continuation) => (message.fragments, message.len()),
            (Some(_), _) => return Err(Violation::InterruptedMessage),
            (None, _) => (0, 0),
        };
        if fragments >= limits.max_fragments {
            return Err(Violation::TooManyFragments {
                limit: limits.max_fragments,
            });
        }
        let len = (before as u64).saturating_add(header.len);
        if len > limits.max_message as u64 {
            return Err(Violation::MessageTooBig {
                len,
                limit: limits.max_message,
            });
        }
        Ok(())
    }

    fn open(&mut self, header: &ClientHeader, len: usize) {
        if !header.opcode.is_control() {
            let message = self.message.get_or_insert_with(|| Message {
                body: match header.opcode {
                    Opcode::Text => Body::Text(PartialText::default()),
                    _ => Body::Binary(Vec::new()),
                },
                fragments: 0,
            });
            message.fragments += 1;
        }
        self.frame = Some(OpenFrame {
            opcode: header.opcode,
            fin: header.fin,
            mask: header.mask,
            len: 0,
            left: len,
        });
    }
}

impl Message {
    fn len(&self) -> usize {
        match &self.body {
            Body::Text(text) => text.len(),
            Body::Binary(data) => data.len(),
        }
    }

    fn event(&self) -> Event<'_> {
        match &self.body {
            Body::Text(text) => Event::Text(text.as_str()),
            Body::Binary(data) => Event::Binary(data),
        }
    }

    /// Unmasks the next bytes of `frame`'s payload and adds them.
    fn append(&mut self, piece: &mut [u8], frame: &OpenFrame) -> Result<(), Violation> {
        let spare = match &self.body {
            Body::Text(text) => text.spare(),
            Body::Binary(data) => data.capacity() - data.len(),
        };
        if spare < piece.len() {
            // Doubled, but not beyond the announced end: an announcement alone costs no memory, and what came last
            // fits exactly.
            let double = piece.len().max(self.len());
            let room = if frame.fin { double.min(frame.left) } else { double };
            match &mut self.body {
                Body::Text(text) => text.reserve_exact(room),
                Body::Binary(data) => data.reserve_exact(room),
            }
        }
        for block in piece.chunks_mut(BLOCK) {
            mask::apply(block, frame.mask);
            match &mut self.body {
                Body::Text(text) => text.push(block)?,
                Body::Binary(data) => data.extend_from_slice(block),
            }
        }
        Ok(())
    }
}
