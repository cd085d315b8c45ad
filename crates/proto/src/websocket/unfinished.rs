//! What is kept of a message or a frame that does not lie whole in one read: the begin of a header, the payload of a
//! control frame so far, the message that fragments and pieces add up to, and the history that compressed messages may
//! refer to. Whole unfragmented frames pass by without it, unless they are compressed, or so large that whoever keeps
//! their bytes is not to copy them.

use bytes::Bytes;

use super::deflate::{self, Deflate, History};
use super::frame::{ClientHeader, MAX_CLIENT_HEADER, MAX_CONTROL, Opcode};
use super::utf8::PartialText;
use super::{Event, Limits, Violation, mask};
use crate::large;

/// How many bytes are unmasked, checked and copied in one go, so that they are still in the first-level cache at each
/// step. A multiple of four, for the mask.
const BLOCK: usize = 8 * 1024;

/// What came so far of a frame or a message that has not come whole.
#[derive(Debug)]
pub(super) struct Unfinished {
    /// The begin of a frame header. Invariant: empty while `frame` is open.
    header: [u8; MAX_CLIENT_HEADER],
    header_len: u8,
    /// The frame whose header has come whole, and the payload not.
    frame: Option<OpenFrame>,
    /// The payload so far of an open control frame, unmasked; after that, of the event that was returned last.
    control: [u8; MAX_CONTROL],
    message: Option<Message>,
    /// The message that was returned last.
    delivered: Option<Delivered>,
    /// The end of the compressed messages so far, if they may refer to it.
    history: History,
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
    /// Text or binary, compressed. It is inflated when it has come whole: so what a client makes the server keep is what
    /// the client has sent, and no decompressor waits for a client.
    Deflated {
        is_text: bool,
        payload: Vec<u8>,
    },
}

/// A message that has come whole.
#[derive(Debug)]
enum Delivered {
    Text(String),
    /// Shared with whoever [owns](large::own) it as well.
    Binary(Bytes),
}

impl Drop for Delivered {
    fn drop(&mut self) {
        if let Self::Text(text) = self {
            large::keep(std::mem::take(text).into_bytes());
        }
    }
}

/// How far [`Unfinished::advance`] came.
pub(super) enum Step {
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
            delivered: None,
            history: History::default(),
        }
    }
}

impl Unfinished {
    /// Whether a frame is to be put together here although it came whole: its bytes can then be shared.
    #[inline]
    pub(super) fn shares(opcode: Opcode, len: u64) -> bool {
        opcode == Opcode::Binary && len >= large::LEAST as u64
    }

    /// Frees a message that was returned; true if nothing else is unfinished.
    pub(super) fn settle(&mut self) -> bool {
        self.delivered = None;
        self.header_len == 0 && self.frame.is_none() && self.message.is_none() && self.history.is_empty()
    }

    /// The payload of [`Step::Control`].
    pub(super) fn control(&self, len: usize) -> &[u8] {
        &self.control[..len]
    }

    /// The event of [`Step::Message`].
    pub(super) fn message(&self) -> Option<Event<'_>> {
        Some(match self.delivered.as_ref()? {
            Delivered::Text(text) => Event::Text(text),
            Delivered::Binary(data) => Event::Binary(data),
        })
    }

    /// Goes through frames until something is complete or `input` is used up. Messages may be compressed as `deflate`
    /// says.
    pub(super) fn advance(
        &mut self,
        limits: &Limits,
        deflate: Option<Deflate>,
        input: &mut [u8],
    ) -> Result<Step, Violation> {
        let mut at = 0;
        loop {
            if self.frame.is_none() {
                let Some((header, used)) = self.header(&input[at..], deflate.is_some())? else {
                    return Ok(Step::Starved);
                };
                at += used;
                self.admit(&header, limits)?;
                // Fits: a message is limited by a usize, a control frame by 125.
                let len = header.len as usize;
                let alone = header.opcode.is_control() || (header.fin && self.message.is_none());
                let shares = Self::shares(header.opcode, header.len) && !header.compressed;
                if alone && !shares && len <= input.len() - at {
                    let (start, end) = (at, at + len);
                    mask::apply(&mut input[start..end], header.mask);
                    if header.compressed {
                        let is_text = header.opcode == Opcode::Text;
                        self.delivered = Some(self.inflate(is_text, &input[start..end], limits, deflate)?);
                        return Ok(Step::Message { consumed: end });
                    }
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
                self.finish(limits, deflate)?;
                return Ok(Step::Message { consumed: at });
            }
        }
    }

    /// The last byte of the message has come.
    fn finish(&mut self, limits: &Limits, deflate: Option<Deflate>) -> Result<(), Violation> {
        let Some(message) = self.message.take() else {
            return Ok(());
        };
        self.delivered = Some(match message.body {
            Body::Text(text) => Delivered::Text(text.finish()?),
            Body::Binary(data) => Delivered::Binary(large::share(data)),
            Body::Deflated { is_text, payload } => self.inflate(is_text, &payload, limits, deflate)?,
        });
        Ok(())
    }

    fn inflate(
        &mut self,
        is_text: bool,
        payload: &[u8],
        limits: &Limits,
        deflate: Option<Deflate>,
    ) -> Result<Delivered, Violation> {
        let bits = deflate.and_then(|deflate| deflate.client_history_bits());
        let history = bits.map(|bits| (&mut self.history, bits));
        let data = deflate::inflate(payload, limits.max_message, history)?;
        Ok(if is_text {
            Delivered::Text(String::from_utf8(data).map_err(|_| Violation::InvalidUtf8)?)
        } else {
            Delivered::Binary(large::share(data))
        })
    }

    /// The next header and how much of `input` was used for it; `None` if that was all, and not enough.
    fn header(&mut self, input: &[u8], deflate: bool) -> Result<Option<(ClientHeader, usize)>, Violation> {
        if self.header_len == 0
            && let Some(header) = ClientHeader::decode(input, deflate)?
        {
            return Ok(Some((header, header.size)));
        }
        let have = usize::from(self.header_len);
        let added = input.len().min(MAX_CLIENT_HEADER - have);
        self.header[have..have + added].copy_from_slice(&input[..added]);
        match ClientHeader::decode(&self.header[..have + added], deflate)? {
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
        let before = match (&self.message, header.opcode) {
            (None, Opcode::Continuation) => return Err(Violation::UnexpectedContinuation),
            (Some(message), Opcode::Continuation) if message.fragments >= limits.max_fragments => {
                return Err(Violation::TooManyFragments {
                    limit: limits.max_fragments,
                });
            }
            (Some(message), Opcode::Continuation) => message.len(),
            (Some(_), _) => return Err(Violation::InterruptedMessage),
            (None, _) => 0,
        };
        let len = (before as u64).saturating_add(header.len);
        let is_compressed = match &self.message {
            Some(message) => matches!(message.body, Body::Deflated { .. }),
            None => header.compressed,
        };
        let limit = if is_compressed {
            deflate::max_compressed(limits.max_message)
        } else {
            limits.max_message
        };
        if len > limit as u64 {
            return Err(Violation::MessageTooBig { len, limit });
        }
        Ok(())
    }

    fn open(&mut self, header: &ClientHeader, len: usize) {
        if !header.opcode.is_control() {
            let message = self.message.get_or_insert_with(|| Message {
                body: match header.opcode {
                    opcode if header.compressed => Body::Deflated {
                        is_text: opcode == Opcode::Text,
                        payload: Vec::new(),
                    },
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
            Body::Binary(data) | Body::Deflated { payload: data, .. } => data.len(),
        }
    }

    /// Has what comes first put where it need not be moved, if that takes no memory that is not taken already.
    fn take_kept(&mut self, len: usize) {
        let is_fresh = match &self.body {
            Body::Text(text) => text.is_fresh(),
            Body::Binary(data) => data.capacity() == 0,
            Body::Deflated { .. } => false,
        };
        if is_fresh && let Some(kept) = large::kept(len) {
            match &mut self.body {
                Body::Text(text) => text.set_buffer(kept),
                Body::Binary(data) | Body::Deflated { payload: data, .. } => *data = kept,
            }
        }
    }

    /// Unmasks the next bytes of `frame`'s payload and adds them.
    fn append(&mut self, piece: &mut [u8], frame: &OpenFrame) -> Result<(), Violation> {
        self.take_kept(frame.left);
        let spare = match &self.body {
            Body::Text(text) => text.spare(),
            Body::Binary(data) | Body::Deflated { payload: data, .. } => data.capacity() - data.len(),
        };
        if spare < piece.len() {
            // Doubled, but not beyond the announced end: an announcement alone costs no memory, and what came last
            // fits exactly.
            let double = piece.len().max(self.len());
            let room = if frame.fin { double.min(frame.left) } else { double };
            match &mut self.body {
                Body::Text(text) => text.reserve_exact(room),
                Body::Binary(data) | Body::Deflated { payload: data, .. } => data.reserve_exact(room),
            }
        }
        for block in piece.chunks_mut(BLOCK) {
            mask::apply(block, frame.mask);
            match &mut self.body {
                Body::Text(text) => text.push(block)?,
                Body::Binary(data) | Body::Deflated { payload: data, .. } => data.extend_from_slice(block),
            }
        }
        Ok(())
    }
}
