//! Messages of bytes, and the one right answer to each: the same bytes in the same form. Two kinds of them take turns, so that
//! an answer that comes twice, or is an old one, is seen.

use super::frame::{self, Opcode};

/// How bytes go over a WebSocket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BinaryForm {
    /// As a binary message that is nothing else.
    Raw,
    /// As `{event: "binary", data: <bytes>}` in MessagePack.
    Msgpack,
    /// As the attachment of a Socket.IO event that is acknowledged with an attachment.
    Attachment,
}

/// A request and its answer, whole frames.
pub(crate) struct Exchange {
    /// What is sent.
    pub(crate) request: Vec<u8>,
    /// What must come.
    pub(crate) reply: Vec<u8>,
}

impl BinaryForm {
    /// A message of `size` bytes, and another one.
    pub(crate) fn exchanges(self, size: usize) -> [Exchange; 2] {
        [1, 2].map(|seed| {
            let payload = noise(seed, size);
            let mut exchange = Exchange {
                request: Vec::new(),
                reply: Vec::new(),
            };
            for (opcode, message) in self.messages(&payload, true) {
                frame::put(&mut exchange.request, opcode, |out| {
                    out.extend_from_slice(&message)
                });
            }
            for (opcode, message) in self.messages(&payload, false) {
                frame::put_unmasked(&mut exchange.reply, opcode, &message);
            }
            exchange
        })
    }

    fn messages(self, payload: &[u8], is_request: bool) -> Vec<(Opcode, Vec<u8>)> {
        match self {
            Self::Raw => vec![(Opcode::Binary, payload.to_vec())],
            Self::Msgpack => {
                let mut message = b"\x82\xa5event\xa6binary\xa4data\xc6".to_vec();
                message.extend_from_slice(&(payload.len() as u32).to_be_bytes());
                message.extend_from_slice(payload);
                vec![(Opcode::Binary, message)]
            }
            Self::Attachment => {
                let text: &[u8] = if is_request {
                    b"451-7[\"binary\",{\"_placeholder\":true,\"num\":0}]"
                } else {
                    b"461-7[{\"_placeholder\":true,\"num\":0}]"
                };
                vec![(Opcode::Text, text.to_vec()), (Opcode::Binary, payload.to_vec())]
            }
        }
    }
}

/// Bytes of every value in no order that anybody could make use of.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..size).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_bytes_of_its_request() {
        for (form, head) in [
            (BinaryForm::Raw, 4),
            (BinaryForm::Msgpack, 4 + 1 + 6 + 7 + 5 + 5),
            (BinaryForm::Attachment, 2 + 36 + 4),
        ] {
            let [one, other] = form.exchanges(300);
            assert_eq!(one.reply.len(), head + 300, "{form:?}");
            assert_eq!(one.reply[head..], noise(1, 300));
            assert_ne!(one.reply, other.reply);
            assert_ne!(one.request, other.request);
        }
    }
}
