//! What is kept of a message or a frame that does not lie whole in one read: the begin of a header, the payload of a
//! control frame so far, the message that fragments and pieces add up to. Whole unfragmented frames pass by without it.

use super::frame::{ClientHeader, MAX_CLIENT_HEADER, MAX_CONTROL, Opcode};
use super::utf8::PartialText;
use super::{Event, Limits, Violation, mask};

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
            delivered: false,
        }
    }
}

impl Unfinished {
    /// Frees a message that was returned; true if nothing else is unfinished.
    pub(super) fn settle(&mut self) -> bool {
        if self.delivered {
            self.delivered = false;
            self.message = None;
        }
        self.header_len == 0 && self.frame.is_none() && self.message.is_none()
    }

    /// The payload of [`Step::Control`].
    pub(super) fn control(&self, len: usize) -> &[u8] {
        &self.control[..len]
    }

    /// The event of [`Step::Message`].
    pub(super) fn message(&self) -> Option<Event<'_>> {
        Some(match &self.message.as_ref()?.body {
            Body::Text(text) => Event::Text(text.as_str()),
            Body::Binary(data) => Event::Binary(data),
        })
    }

    /// Goes through frames until something is complete or `input` is used up.
    pub(super) fn advance(&mut self, limits: &Limits, input: &mut [u8]) -> Result<Step, Violation> {
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
