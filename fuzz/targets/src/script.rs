//! What a client does, read from any bytes. Steps are divided by the byte 0xFE, which no text has; the first byte of a
//! step says what it is, and a fuzzer that changes one changes nothing of the others.

/// The byte between two steps.
const SEPARATOR: u8 = 0xfe;

/// Steps of one script that are taken.
const MAX_STEPS: usize = 48;

/// One thing that a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// `C`: opens one more connection, and goes on with it; the others stay.
    Connect,
    /// `H`: closes the connection, and opens another one.
    HangUp,
    /// `E`: closes the writing side of the connection.
    End,
    /// `R`: bytes as they are.
    Raw(&'a [u8]),
    /// `G`: a GET of this target; header lines may stand behind the first line feed.
    Get(&'a [u8], &'a [u8]),
    /// `P`: a POST, whose body stands behind the first line feed.
    Post(&'a [u8], &'a [u8]),
    /// `O`: the same, that asks for a WebSocket.
    Upgrade(&'a [u8], &'a [u8]),
    /// `T`: a text frame.
    Text(&'a [u8]),
    /// `B`: a binary frame.
    Binary(&'a [u8]),
    /// `F`: a masked frame whose first byte is this.
    Frame(u8, &'a [u8]),
    /// `W`: waits for so many hundredths of a second.
    Wait(u8),
    /// `L`: leaves unread what comes, or reads again.
    Deafen,
}

/// The steps of a script; what is none is left out.
pub(crate) fn steps(script: &[u8]) -> impl Iterator<Item = Step<'_>> {
    let steps = script.split(|&byte| byte == SEPARATOR);
    steps.filter_map(step).take(MAX_STEPS)
}

fn step(bytes: &[u8]) -> Option<Step<'_>> {
    let (&kind, rest) = bytes.split_first()?;
    Some(match kind {
        b'C' => Step::Connect,
        b'H' => Step::HangUp,
        b'E' => Step::End,
        b'R' => Step::Raw(rest),
        b'G' => {
            let (target, headers) = line(rest);
            Step::Get(target, headers)
        }
        b'P' => {
            let (target, body) = line(rest);
            Step::Post(target, body)
        }
        b'O' => {
            let (target, headers) = line(rest);
            Step::Upgrade(target, headers)
        }
        b'T' => Step::Text(rest),
        b'B' => Step::Binary(rest),
        b'F' => {
            let (first, payload) = rest.split_first()?;
            Step::Frame(*first, payload)
        }
        b'W' => Step::Wait(*rest.first()?),
        b'L' => Step::Deafen,
        _ => return None,
    })
}

/// The first line, and what is behind it.
fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|&byte| byte == b'\n');
    match end {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[]),
    }
}
