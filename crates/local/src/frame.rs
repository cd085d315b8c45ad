//! What goes over a connection: frames of a length in four bytes, a byte that says what it is, and the rest.

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// What the first frame begins with; a later version says another.
const GREETING: &str = "gatewire-local/1 ";

const HELLO: u8 = 0;
const MESSAGE: u8 = 1;
const OPEN: u8 = 2;
const CLOSE: u8 = 3;

/// What one node says to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// Who speaks: the first frame, and only that.
    Hello(&'a str),
    /// A message, whose content is not known here.
    Message(&'a [u8]),
    /// The node has a namespace.
    Open(&'a str),
    /// It has it no longer.
    Close(&'a str),
}

/// Why a connection is given up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame of {len} bytes is longer than the {max} of max_message")]
    TooLong { len: usize, max: usize },
    #[error("a frame is none that this version knows")]
    Unknown,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl<'a> Frame<'a> {
    /// As it is sent; `None` if it is too long for that.
    pub(crate) fn encode(self, max: usize) -> Option<Bytes> {
        let (kind, start, rest) = match self {
            Self::Hello(name) => (HELLO, GREETING, name.as_bytes()),
            Self::Message(message) => (MESSAGE, "", message),
            Self::Open(name) => (OPEN, "", name.as_bytes()),
            Self::Close(name) => (CLOSE, "", name.as_bytes()),
        };
        let len = 1 + start.len() + rest.len();
        let prefix = u32::try_from(len).ok().filter(|_| len <= max)?;
        let mut bytes = BytesMut::with_capacity(4 + len);
        bytes.put_u32(prefix);
        bytes.put_u8(kind);
        bytes.put_slice(start.as_bytes());
        bytes.put_slice(rest);
        Some(bytes.freeze())
    }

    /// What is behind the length.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let (kind, rest) = bytes.split_first().ok_or(FrameError::Unknown)?;
        let text = || std::str::from_utf8(rest).map_err(|_| FrameError::Unknown);
        match *kind {
            HELLO => {
                let name = text()?.strip_prefix(GREETING);
                name.map(Self::Hello).ok_or(FrameError::Unknown)
            }
            MESSAGE => Ok(Self::Message(rest)),
            OPEN => text().map(Self::Open),
            CLOSE => text().map(Self::Close),
            _ => Err(FrameError::Unknown),
        }
    }
}

/// Reads what [`Frame::decode`] takes into the buffer; false at the end of the connection.
pub(crate) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
    max: usize,
) -> Result<bool, FrameError> {
    buffer.clear();
    let mut prefix = [0; 4];
    match stream.read_exact(&mut prefix).await {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    let len = usize::try_from(u32::from_be_bytes(prefix)).unwrap_or(usize::MAX);
    if len > max {
        return Err(FrameError::TooLong { len, max });
    }
    // As much memory as comes, whatever the length says.
    let read = stream.take(len as u64).read_to_end(buffer).await?;
    Ok(read == len)
}

/// Reads any bytes as a connection does, and writes what it understood again; for the fuzz target of the frames.
#[cfg(feature = "fuzzing")]
pub fn fuzz_frames(mut bytes: &[u8]) {
    use futures_util::FutureExt;

    const MAX: usize = 1 << 10;
    let mut buffer = Vec::new();
    while let Some(Ok(true)) = read(&mut bytes, &mut buffer, MAX).now_or_never() {
        assert!(buffer.len() <= MAX);
        if let Ok(frame) = Frame::decode(&buffer) {
            let written = frame.encode(MAX).expect("it was as long when it came");
            assert_eq!(written[4..], buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_are_read_as_they_were_written() {
        let frames = [
            Frame::Hello("a"),
            Frame::Message(b"\x00\xff"),
            Frame::Message(b""),
            Frame::Open("/chat"),
            Frame::Close("/chat"),
        ];
        let mut bytes = Vec::new();
        for frame in frames {
            bytes.extend(frame.encode(100).unwrap());
        }
        let (mut stream, mut buffer) = (&*bytes, Vec::new());
        for frame in frames {
            assert!(read(&mut stream, &mut buffer, 100).await.unwrap());
            assert_eq!(Frame::decode(&buffer).unwrap(), frame);
        }
        assert!(!read(&mut stream, &mut buffer, 100).await.unwrap());
    }

    #[tokio::test]
    async fn what_is_too_long_is_neither_sent_nor_read() {
        assert!(Frame::Message(&[0; 9]).encode(10).is_some());
        assert!(Frame::Message(&[0; 10]).encode(10).is_none());
        let mut buffer = Vec::new();
        let result = read(&mut &[0, 0, 0, 11, 1][..], &mut buffer, 10).await;
        assert!(matches!(result, Err(FrameError::TooLong { len: 11, max: 10 })));
        // The rest does not come.
        assert!(!read(&mut &[0, 0, 0, 9, 1][..], &mut buffer, 10).await.unwrap());
    }

    #[test]
    fn what_is_unknown_is_an_error() {
        for bytes in [&b""[..], b"\x09", b"\x00HTTP", b"\x02\xff"] {
            assert!(Frame::decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
