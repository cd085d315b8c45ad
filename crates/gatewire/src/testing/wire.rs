//! The client's side of a WebSocket, as far as a test needs it: the handshake, masked frames out, whole frames in. It asks
//! for no extension, and does not judge what the server sends.

use bytes::{Buf, BytesMut};
use gatewire_proto::websocket::{Opcode, put_masked_frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::error::TestError;

/// Any way to the server.
pub(super) trait Pipe: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Pipe for T {}

/// A frame of the server.
#[derive(Debug, PartialEq)]
pub(super) enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    /// With its code, if it has one.
    Close(Option<u16>),
}

pub(super) struct Socket {
    pipe: Box<dyn Pipe>,
    read: BytesMut,
    protocol: Option<String>,
}

/// The mask of every frame; what it hides is of no matter here.
const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

impl Socket {
    /// Asks for the WebSocket at `target` (path and query).
    pub(super) async fn open(
        mut pipe: Box<dyn Pipe>,
        target: &str,
        headers: &[(String, String)],
    ) -> Result<Self, TestError> {
        let mut request = format!(
            "GET {target} HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        );
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        pipe.write_all(request.as_bytes())
            .await
            .map_err(|error| gone(&error))?;
        let mut read = BytesMut::new();
        let head = loop {
            if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                break String::from_utf8_lossy(&read.split_to(end + 4)).into_owned();
            }
            if pipe.read_buf(&mut read).await.map_err(|error| gone(&error))? == 0 {
                return Err(TestError::Failed(
                    "the server closed during the handshake".to_owned(),
                ));
            }
        };
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0);
        let header = |wanted: &str| {
            let mut headers = head.lines().filter_map(|line| line.split_once(':'));
            let found = headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.trim())
        };
        if status == 101 {
            let protocol = header("sec-websocket-protocol").map(str::to_owned);
            return Ok(Self { pipe, read, protocol });
        }
        let length = header("content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(0_usize);
        while read.len() < length && pipe.read_buf(&mut read).await.map_err(|error| gone(&error))? > 0 {}
        Err(TestError::Refused {
            status,
            body: String::from_utf8_lossy(&read).into_owned(),
        })
    }

    /// The subprotocol that was agreed on.
    pub(super) fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    pub(super) async fn send_text(&mut self, text: &str) -> std::io::Result<()> {
        self.send(Opcode::Text, text.as_bytes()).await
    }

    pub(super) async fn send(&mut self, opcode: Opcode, payload: &[u8]) -> std::io::Result<()> {
        let mut frame = Vec::new();
        put_masked_frame(&mut frame, true, opcode, MASK, payload);
        self.pipe.write_all(&frame).await
    }

    /// The next frame; `None` at the end of the stream. What was read is not lost if the future is dropped.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.decode() {
                return Some(frame);
            }
            match self.pipe.read_buf(&mut self.read).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    fn decode(&mut self) -> Option<Frame> {
        let head = &self.read[..];
        let (opcode, short) = (head.first()? & 0x0f, head.get(1)? & 0x7f);
        let (length, at) = match short {
            126 => (
                usize::from(u16::from_be_bytes(head.get(2..4)?.try_into().ok()?)),
                4,
            ),
            127 => (
                usize::try_from(u64::from_be_bytes(head.get(2..10)?.try_into().ok()?)).ok()?,
                10,
            ),
            short => (usize::from(short), 2),
        };
        if head.len() < at + length {
            return None;
        }
        self.read.advance(at);
        let payload = self.read.split_to(length).to_vec();
        Some(match opcode {
            1 => Frame::Text(String::from_utf8_lossy(&payload).into_owned()),
            8 => Frame::Close(payload.first_chunk().map(|code| u16::from_be_bytes(*code))),
            9 => Frame::Ping(payload),
            _ => Frame::Binary(payload),
        })
    }
}

fn gone(error: &std::io::Error) -> TestError {
    TestError::Failed(format!("the connection failed during the handshake: {error}"))
}
