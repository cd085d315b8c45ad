//! Close codes and the body of a close frame (RFC 6455 §5.5.1 and §7.4). Which code an application sends when is not
//! decided here.

use super::Violation;
use super::frame::{self, Opcode};

/// The longest reason that fits beside the code into a control frame, in bytes.
const MAX_REASON: usize = frame::MAX_CONTROL - 2;

/// A status code that may stand in a close frame: 1000–1003, 1007–1014, or 3000–4999 (RFC 6455 §7.4.1 and §7.4.2, and
/// the IANA registry). 1005, 1006 and 1015 are never sent, so they are no values of this type.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the connection has served its purpose.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the server goes down, or the page was left.
    pub const AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL: Self = Self(1002);
    /// 1003: a kind of data (text, binary) that is not accepted.
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1007: the data is not what its type says, for example text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: a message against the receiver's policy.
    pub const POLICY: Self = Self(1008);
    /// 1009: a message longer than the receiver accepts.
    pub const TOO_BIG: Self = Self(1009);
    /// 1011: the server met a condition it did not expect.
    pub const INTERNAL: Self = Self(1011);
    /// 1012: the server restarts; the client may come back.
    pub const RESTART: Self = Self(1012);
    /// 1013: the server is overloaded; the client should come back later.
    pub const TRY_AGAIN: Self = Self(1013);

    /// The code with this number, or `None` if that number must not stand in a close frame.
    pub const fn from_wire(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

impl std::fmt::Display for CloseCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The body of a close frame that has one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CloseFrame<'a> {
    /// Why the peer closes.
    pub code: CloseCode,
    /// The peer's words for it, at most 123 bytes; often empty.
    pub reason: &'a str,
}

impl<'a> CloseFrame<'a> {
    /// Reads an unmasked close body: nothing, or a code and a UTF-8 reason.
    pub(super) fn decode(body: &'a [u8]) -> Result<Option<Self>, Violation> {
        match *body {
            [] => Ok(None),
            [_] => Err(Violation::CloseBodyTooShort),
            [high, low, ref reason @ ..] => {
                let number = u16::from_be_bytes([high, low]);
                let code = CloseCode::from_wire(number).ok_or(Violation::CloseCode(number))?;
                let reason = std::str::from_utf8(reason).map_err(|_| Violation::InvalidUtf8)?;
                Ok(Some(Self { code, reason }))
            }
        }
    }
}

/// A whole close frame to the client. A `reason` longer than 123 bytes is cut before the character that does not fit;
/// without a code there is no body, and the reason is left out (RFC 6455 §5.5.1).
pub fn close_frame(code: Option<CloseCode>, reason: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(frame::MAX_CONTROL);
    if let Some(code) = code {
        body.extend_from_slice(&code.get().to_be_bytes());
        body.extend_from_slice(&reason.as_bytes()[..reason.floor_char_boundary(MAX_REASON)]);
    }
    let mut out = Vec::with_capacity(2 + body.len());
    frame::put_frame(&mut out, Opcode::Close, &body);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_codes_are_valid_on_the_wire() {
        let valid = |code: u16| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        for code in 0..=u16::MAX {
            let read =
                CloseFrame::decode(&code.to_be_bytes()).map(|frame| frame.map(|frame| frame.code.get()));
            let expected = if valid(code) {
                Ok(Some(code))
            } else {
                Err(Violation::CloseCode(code))
            };
            assert_eq!(read, expected);
        }
    }

    #[test]
    fn bodies() {
        let frame = |code, reason| Ok(Some(CloseFrame { code, reason }));
        type Decoded<'a> = Result<Option<CloseFrame<'a>>, Violation>;
        let cases: &[(&[u8], Decoded<'_>)] = &[
            (b"", Ok(None)),
            (b"\x03", Err(Violation::CloseBodyTooShort)),
            (b"\x03\xe8", frame(CloseCode::NORMAL, "")),
            (b"\x03\xe9bye", frame(CloseCode::AWAY, "bye")),
            (
                b"\x03\xe8\xce\xba\xe1\xbd\xb9",
                frame(CloseCode::NORMAL, "κ\u{1f79}"),
            ),
            (b"\x03\xe8\xce", Err(Violation::InvalidUtf8)),
            (b"\x03\xed", Err(Violation::CloseCode(1005))),
        ];
        for (body, expected) in cases {
            assert_eq!(CloseFrame::decode(body), *expected, "{body:x?}");
        }
    }

    #[test]
    fn frames_to_the_client() {
        assert_eq!(close_frame(None, "ignored"), b"\x88\x00");
        assert_eq!(close_frame(Some(CloseCode::NORMAL), ""), b"\x88\x02\x03\xe8");
        assert_eq!(
            close_frame(Some(CloseCode::TOO_BIG), "big"),
            b"\x88\x05\x03\xf1big"
        );
        let exact = close_frame(Some(CloseCode::POLICY), &"x".repeat(200));
        assert_eq!((exact.len(), exact[1]), (127, 125));
        // 123 is odd: the 62nd two-byte character does not fit.
        let cut = close_frame(Some(CloseCode::POLICY), &"é".repeat(100));
        assert_eq!((cut.len(), cut[1]), (126, 124));
        assert_eq!(std::str::from_utf8(&cut[4..]), Ok("é".repeat(61).as_str()));
    }
}
