//! What goes out to a plain client: packets of the hub become messages of the codec, or the end of the connection.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use gatewire_proto::engineio::TransportKind;
use gatewire_proto::envelope::{MessageCodec, Outgoing, TextBuffer, WireKind};
use gatewire_proto::large;
use gatewire_proto::pieces::Pieces;
use gatewire_proto::socketio::{self, ArgSlice, Packet, PacketKind};
use gatewire_proto::websocket::{MAX_HEADER, Opcode};
use serde_json::{Value, json};

use super::{NO_BYTES, PlainFormat, one_value, without_offset};
use crate::encode::{ANSWER, Arguments, check_name, send_text, with_scratch};
use crate::outbox::left_to_next;
use crate::prepared::OWN;
use crate::recode::Recode;
use crate::{EmitError, FramedText, Outbox, Prepared, lock};

/// RFC 6455 §7.4.1: what was received breaks the endpoint's rules.
const POLICY: u16 = 1008;
/// RFC 6455 §7.4.1: the purpose of the connection has been fulfilled.
const NORMAL: u16 = 1000;
/// Room for so many questions is kept while none waits: most clients ask one at a time.
const KEPT_QUESTIONS: usize = 4;
/// A larger buffer is kept among those of large messages, in bytes.
const MAX_KEPT: usize = 64 * 1024;

thread_local! {
    // Another one than that of the data's encoding, which is in use meanwhile.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Events in the form of a codec, for all who receive them.
pub(super) struct ByCodec(pub(super) Arc<dyn MessageCodec>);

impl Recode for ByCodec {
    fn recode(&self, message: &Prepared) -> Option<Prepared> {
        let packet = message.packet()?;
        if !matches!(packet.kind, PacketKind::Event | PacketKind::BinaryEvent) {
            return None;
        }
        let event = socketio::scan_event(packet.data, &OWN).ok()?;
        let args = without_offset(event.args, message.offset());
        let mut buffer = String::new();
        let outgoing = Outgoing {
            event: &event.name,
            data: one_value(args, &mut buffer),
            id: None,
            ack: packet.id,
            attachments: &message.attachments(),
        };
        let mut out = Pieces::from(Vec::with_capacity(MAX_HEADER + packet.data.len() + 32));
        out.own().resize(MAX_HEADER, 0);
        match encode(&*self.0, &outgoing, &mut out)? {
            WireKind::Text => {
                let text = out.into_own();
                Some(Prepared::from_messages(&[(Opcode::Text, &text[MAX_HEADER..])]))
            }
            WireKind::Binary => Some(Prepared::from_binary(out)),
        }
    }
}

/// The outbox of a plain client.
pub struct Wire {
    format: PlainFormat,
    outbox: Arc<dyn Outbox>,
    /// What the client wants answers of, in the order of its asking.
    asked: Mutex<Questions>,
    /// What the client has sent that is no message.
    faults: AtomicUsize,
    /// Code and words for a client that is put out.
    farewell: Mutex<Option<(u16, Box<str>)>>,
}

#[derive(Default)]
struct Questions {
    waiting: VecDeque<Question>,
    limit: usize,
    next: u64,
}

struct Question {
    number: u64,
    /// The event, then the id: what is kept of a message has one piece of memory.
    text: Box<str>,
    event_len: usize,
}

impl Question {
    fn new(number: u64, event: &str, id: &str) -> Self {
        let mut text = String::with_capacity(event.len() + id.len());
        text.push_str(event);
        text.push_str(id);
        Self {
            number,
            text: text.into(),
            event_len: event.len(),
        }
    }

    fn parts(&self) -> (&str, &str) {
        self.text.split_at(self.event_len)
    }
}

impl Wire {
    pub(super) fn new(format: &PlainFormat, outbox: Arc<dyn Outbox>, limit: usize) -> Self {
        Self {
            format: format.clone(),
            outbox,
            asked: Mutex::new(Questions {
                limit,
                ..Questions::default()
            }),
            faults: AtomicUsize::new(0),
            farewell: Mutex::default(),
        }
    }

    pub(super) fn codec(&self) -> &Arc<dyn MessageCodec> {
        &self.format.codec
    }

    /// Notes that an event wants an answer, under the number that is returned. Of too many, the oldest is forgotten: its
    /// handler has let the client wait for long.
    pub(super) fn note(&self, event: &str, id: &str) -> u64 {
        let mut asked = lock(&self.asked);
        if asked.waiting.len() >= asked.limit {
            asked.waiting.pop_front();
        }
        let number = asked.next;
        asked.next += 1;
        asked.waiting.push_back(Question::new(number, event, id));
        number
    }

    fn take(&self, number: u64) -> Option<Question> {
        let mut asked = lock(&self.asked);
        let at = asked
            .waiting
            .iter()
            .position(|question| question.number == number)?;
        let question = asked.waiting.remove(at);
        if asked.waiting.is_empty() && asked.waiting.capacity() > KEPT_QUESTIONS {
            asked.waiting = VecDeque::new();
        }
        question
    }

    pub(super) fn has_too_many_faults(&self) -> bool {
        self.faults.load(Ordering::Relaxed) > self.format.max_faults
    }

    pub(super) fn send_exception(&self, reason: &Value) {
        self.send_now(&Outgoing {
            event: "exception",
            data: Some(&reason.to_string()),
            id: None,
            ack: None,
            attachments: NO_BYTES,
        });
    }

    /// Sends an event to this client alone.
    pub(crate) fn send_event(
        &self,
        event: &str,
        args: &dyn Arguments,
        ack: Option<u64>,
    ) -> Result<(), EmitError> {
        check_name(event)?;
        self.write(event, event, args, None, ack)
    }

    /// Answers the event of that number; if that fails another answer is still owed.
    pub(crate) fn send_answer(&self, number: u64, args: &dyn Arguments) -> Result<(), EmitError> {
        let Some(question) = self.take(number) else {
            return Ok(());
        };
        let (event, id) = question.parts();
        let written = self.write(ANSWER, event, args, Some(id), None);
        if written.is_err() {
            lock(&self.asked).waiting.push_front(question);
        }
        written
    }

    /// Writes a message with its data in place, or has the codec put it together; `subject` is for the error.
    fn write(
        &self,
        subject: &str,
        event: &str,
        args: &dyn Arguments,
        id: Option<&str>,
        ack: Option<u64>,
    ) -> Result<(), EmitError> {
        with_scratch(|buffer| {
            buffer.clear();
            buffer.extend_from_slice(&[0; MAX_HEADER]);
            let has_head = self.codec().put_head(event, &mut TextBuffer::new(buffer));
            let start = buffer.len();
            let mut attachments = Vec::new();
            args.put(subject, buffer, &mut attachments)?;
            if has_head && buffer.len() > start && args.is_single() && attachments.is_empty() {
                self.codec().put_tail(id, ack, &mut TextBuffer::new(buffer));
                send_text(&*self.outbox, buffer);
                return Ok(());
            }
            // The serialiser writes UTF-8 alone.
            let json = std::str::from_utf8(&buffer[start..]).unwrap_or_default();
            let count = match args.is_single() {
                true => usize::from(!json.is_empty()),
                false => ArgSlice::from_parts(json, 0).iter().count(),
            };
            let mut several = String::new();
            self.send_now(&Outgoing {
                event,
                data: one_value(ArgSlice::from_parts(json, count), &mut several),
                id,
                ack,
                attachments: &attachments,
            });
            Ok(())
        })
    }

    /// Sends one message to this client alone.
    fn send_now(&self, outgoing: &Outgoing<'_>) {
        let is_large = outgoing.attachments.iter().any(|data| data.len() >= large::LEAST);
        let mut buffer = if is_large { Vec::new() } else { SCRATCH.take() };
        buffer.clear();
        buffer.resize(MAX_HEADER, 0);
        let mut message = Pieces::from(buffer);
        let kind = encode(&**self.codec(), outgoing, &mut message);
        if kind == Some(WireKind::Binary) && is_large {
            return self.outbox.send(&Prepared::from_binary(message));
        }
        let mut buffer = message.into_own();
        match kind {
            Some(WireKind::Text) => send_text(&*self.outbox, &mut buffer),
            Some(WireKind::Binary) => {
                let message = &buffer[MAX_HEADER..];
                self.outbox
                    .send(&Prepared::from_messages(&[(Opcode::Binary, message)]));
            }
            None => {}
        }
        if buffer.capacity() <= MAX_KEPT {
            SCRATCH.set(buffer);
        } else {
            large::keep(buffer);
        }
    }

    /// What a packet that is no event says to this client.
    fn send_packet(&self, packet: &Packet<'_>) {
        match packet.kind {
            // Events have a form, and answers are written by `send_answer`.
            PacketKind::Event | PacketKind::BinaryEvent | PacketKind::Ack | PacketKind::BinaryAck => {}
            // The client knows that it is in when its handshake is answered.
            PacketKind::Connect => {}
            PacketKind::Disconnect => {
                let farewell = lock(&self.farewell).take();
                match farewell {
                    Some((code, reason)) => self.outbox.close_with(code, &reason),
                    None => self.outbox.close_with(NORMAL, ""),
                }
            }
            PacketKind::ConnectError => {
                let mut reason = serde_json::from_str(packet.data).unwrap_or(Value::Null);
                match reason.as_object_mut() {
                    Some(fields) => drop(fields.insert("status".to_owned(), Value::from("error"))),
                    None => reason = json!({ "status": "error", "message": reason }),
                }
                let text = reason["message"].as_str().unwrap_or_default().to_owned();
                self.send_exception(&reason);
                self.outbox.close_with(POLICY, &text);
            }
        }
    }
}

impl Outbox for Wire {
    fn send(&self, message: &Prepared) {
        if let Some(form) = message.form(&self.format.form) {
            self.outbox.send(form);
        } else if let Some(packet) = message.packet() {
            self.send_packet(&packet);
        }
    }

    fn send_all(&self, messages: &[Prepared]) {
        let forms: Option<Vec<_>> = messages
            .iter()
            .map(|message| message.form(&self.format.form).cloned())
            .collect();
        match forms {
            Some(forms) => self.outbox.send_all(&forms),
            None => messages.iter().for_each(|message| self.send(message)),
        }
    }

    fn send_text(&self, text: &FramedText<'_>) {
        self.send(&Prepared::from(text));
    }

    fn wire(&self) -> Option<&Wire> {
        Some(self)
    }

    fn close_with(&self, code: u16, reason: &str) {
        self.outbox.close_with(code, reason);
    }

    fn note_fault(&self) {
        if self.faults.fetch_add(1, Ordering::Relaxed) >= self.format.max_faults {
            self.outbox.close_with(POLICY, "too many messages that are none");
        }
    }

    fn set_farewell(&self, code: u16, reason: &str) {
        *lock(&self.farewell) = Some((code, reason.into()));
    }

    fn transport(&self) -> TransportKind {
        self.outbox.transport()
    }

    left_to_next!();
}

/// Appends the message behind room for its header; `None`, and a line in the log, if the codec cannot hold it. A text is in one
/// piece.
fn encode(codec: &dyn MessageCodec, outgoing: &Outgoing<'_>, out: &mut Pieces) -> Option<WireKind> {
    match codec.encode_in_pieces(outgoing, out) {
        Ok(WireKind::Text) => {
            let text = std::mem::take(out).into_own();
            let is_text = is_text(outgoing.event, &text[MAX_HEADER..]);
            *out = Pieces::from(text);
            is_text.then_some(WireKind::Text)
        }
        Ok(kind) => Some(kind),
        Err(error) => {
            tracing::error!(event = outgoing.event, %error, "a message was not sent: its codec cannot encode it");
            None
        }
    }
}

/// Whether a codec has made text, and a line in the log if not.
fn is_text(event: &str, made: &[u8]) -> bool {
    let is_text = std::str::from_utf8(made).is_ok();
    if !is_text {
        tracing::error!(
            event,
            "a message was not sent: its codec made a text that is not UTF-8"
        );
    }
    is_text
}
