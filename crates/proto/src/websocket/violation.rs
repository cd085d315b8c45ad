//! The ways in which a client can break the protocol, and the close code that each is answered with.

use super::utf8::InvalidUtf8;
use super::{CloseCode, Opcode};

/// The client broke the protocol or a limit: the connection is to be failed (RFC 6455 §7.1.7) with
/// [`close_code`](Self::close_code).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// RFC 6455 §5.2: only RSV1 may be set, on the first frame of a message, if permessage-deflate is in use.
    #[error("the frame has reserved bits set ({0:#04x}), which no negotiated extension allows here")]
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
    /// RFC 7692 §7.2.2.
    #[error("the compressed message is not made of whole DEFLATE blocks")]
    Deflate,
    /// RFC 6455 §5.5.1.
    #[error("the close frame's body has one byte, where a code has two")]
    CloseBodyTooShort,
    /// RFC 6455 §7.4.
    #[error("the close code {0} must not be sent")]
    CloseCode(u16),
    /// Beyond [`Limits::max_message`](super::Limits::max_message).
    #[error("the message has at least {len} bytes, more than the limit of {limit}")]
    MessageTooBig {
        /// The length so far, in bytes, with the frame that is refused.
        len: u64,
        /// The limit, in bytes.
        limit: usize,
    },
    /// Beyond [`Limits::max_fragments`](super::Limits::max_fragments).
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
            Self::InvalidUtf8 | Self::Deflate => CloseCode::INVALID_PAYLOAD,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes() {
        assert_eq!(Violation::InvalidUtf8.close_code(), CloseCode::INVALID_PAYLOAD);
        assert_eq!(
            Violation::MessageTooBig { len: 2, limit: 1 }.close_code(),
            CloseCode::TOO_BIG
        );
        assert_eq!(
            Violation::TooManyFragments { limit: 1 }.close_code(),
            CloseCode::POLICY
        );
        assert_eq!(Violation::Unmasked.close_code(), CloseCode::PROTOCOL);
    }
}
