//! TLS upon a TCP stream, the server's side of an open connection: records in, records out. Any thread may write; only
//! the driver reads. It keeps no buffer while idle: records come into, and are made in, the buffers of the thread, and
//! only an unfinished record, or one that the kernel does not take, stays with the connection. The handshake is driven
//! by [`accept`](super::accept), certificates are not its matter.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    AppDataRecord, ConnectionState, EncodeError, EncodeTlsData, InsufficientSizeError, UnbufferedStatus,
};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::scratch;
use crate::stream::{Rest, read_ready};

/// Bytes that are sealed and written at a time: three full records, which fit a thread's buffer with their overhead.
const ROUND: usize = 3 * (16 << 10);

/// More than a record is longer than what it carries, with a key update before it.
const OVERHEAD: usize = 256;

/// Bytes that are asked for at least, as for the handshake.
const LEAST_READ: usize = 4096;

/// What a client is told that speaks HTTP where TLS is spoken: no record of TLS begins with a letter.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\
    Content-Length: 49\r\n\r\nThis port speaks TLS: ask for https:// or wss://.";

/// A TCP stream with TLS on it.
pub(crate) struct TlsStream {
    tcp: TcpStream,
    records: Mutex<Records>,
    /// Mirrors `!Records::outgoing.is_empty()`, for a look without the lock.
    unflushed: AtomicBool,
}

/// Everything here is empty, and without memory, while nothing is under way.
struct Records {
    tls: UnbufferedServerConnection,
    /// Read, but not a whole record. Invariant: no whole one is in it unless the handshake is under way.
    incoming: Vec<u8>,
    /// Decrypted, but more than the reader had room for.
    plaintext: Vec<u8>,
    /// Encrypted, but not taken by the kernel.
    outgoing: Vec<u8>,
    /// The handshake has ended.
    is_open: bool,
    /// The client sends no more.
    ended: bool,
    /// The client is told that nothing more comes.
    closed: bool,
    /// rustls has met an error, and is not asked any more: it may have kept places in bytes that are not there any more, and
    /// looking for them would be a panic.
    failed: bool,
}

impl TlsStream {
    /// In a box from the beginning: it is big, and is handed on.
    pub(crate) fn new(tcp: TcpStream, config: Arc<ServerConfig>) -> Result<Box<Self>, rustls::Error> {
        Ok(Box::new(Self {
            tcp,
            records: Mutex::new(Records {
                tls: UnbufferedServerConnection::new(config)?,
                incoming: Vec::new(),
                plaintext: Vec::new(),
                outgoing: Vec::new(),
                is_open: false,
                ended: false,
                closed: false,
                failed: false,
            }),
            unflushed: AtomicBool::new(false),
        }))
    }

    /// Whether this protocol was agreed on by ALPN.
    pub(crate) fn speaks(&self, protocol: &[u8]) -> bool {
        self.lock().tls.alpn_protocol() == Some(protocol)
    }

    /// The chain that the client has proved to have the key of, its own certificate first; empty without.
    pub(crate) fn client_certificates(&self) -> Vec<CertificateDer<'static>> {
        let records = self.lock();
        let chain = records.tls.peer_certificates().unwrap_or_default();
        chain
            .iter()
            .map(|certificate| certificate.clone().into_owned())
            .collect()
    }

    /// Goes on with the handshake; ready when it has ended. An alert that says what is wrong has been sent, as far as the
    /// kernel took it.
    pub(crate) fn poll_handshake(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_flush(cx))?;
            if self.lock().is_open {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.poll_receive(cx, &mut []))?.is_some() {
                // Nothing can have been read into an empty buffer.
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Reads once; 0 is the end of the stream. `Pending` has registered the task of `cx`.
    pub(crate) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            if let Some(read) = ready!(self.poll_receive(cx, buffer))? {
                return Poll::Ready(Ok(read));
            }
        }
    }

    /// One round of reading; `None` if what came holds nothing for the reader.
    fn poll_receive(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<Option<usize>>> {
        let mut records = self.lock();
        if !records.plaintext.is_empty() {
            return Poll::Ready(Ok(Some(records.take_plaintext(buffer))));
        }
        if records.ended {
            return Poll::Ready(Ok(Some(0)));
        }
        ready!(self.tcp.poll_read_ready(cx))?;
        let received = scratch::with(|input| {
            let kept = records.incoming.len();
            if kept == input.len() {
                records.fail();
                return Err(invalid("a message of the handshake is too long"));
            }
            input[..kept].copy_from_slice(&records.incoming);
            // Little more than the reader has room for: the rest would wait with the connection.
            let room = input.len().min(kept + buffer.len().max(LEAST_READ) + OVERHEAD);
            let read = read_ready(&self.tcp, &mut input[kept..room])?;
            if read == 0 {
                records.ended = true;
                return Ok(Some(0));
            }
            if records.closed {
                // Who has said the last word waits for the client's end, and rustls is not to answer anything more.
                records.incoming = Vec::new();
                return Ok(None);
            }
            let input = &mut input[..kept + read];
            let (consumed, filled) = records.receive(input, buffer)?;
            records.incoming.clear();
            if consumed < input.len() {
                records.incoming.extend_from_slice(&input[consumed..]);
            } else {
                records.incoming = Vec::new();
            }
            Ok((filled > 0).then_some(filled))
        });
        // What the protocol answers by itself: a key update, or an alert. An error will be seen by who reads or writes next.
        let _ = self.flush(&mut records);
        match received {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Ready(Ok(None)),
            Ok(None) if records.ended => Poll::Ready(Ok(Some(0))),
            received => Poll::Ready(received),
        }
    }

    /// Encrypts and writes what is taken at once, from any thread. All that is encrypted counts as taken: what the kernel
    /// does not take of it, at most a few records, waits for [`poll_flush`](Self::poll_flush).
    ///
    /// # Errors
    /// `WouldBlock` when nothing was taken.
    pub(crate) fn try_write(&self, chunks: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut records = self.lock();
        self.flush(&mut records)?;
        if !records.outgoing.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        match chunks {
            [chunk] => self.seal_and_write(&mut records, chunk),
            chunks => scratch::with(|gathered| {
                let gathered = &mut gathered[..ROUND];
                let mut rest = Rest::of(chunks);
                let mut taken = 0;
                loop {
                    let filled = rest.fill(gathered);
                    if filled == 0 || !records.outgoing.is_empty() {
                        return Ok(taken);
                    }
                    taken += self.seal_and_write(&mut records, &gathered[..filled])?;
                }
            }),
        }
    }

    /// As [`try_write`](Self::try_write), but `Pending` has registered the task of `cx`: for the driver alone.
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, chunks: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            match self.try_write(chunks) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.tcp.poll_write_ready(cx))?;
                }
                done => return Poll::Ready(done),
            }
        }
    }

    /// Whether what was written is held back until [`poll_flush`](Self::poll_flush) is ready.
    pub(crate) fn is_unflushed(&self) -> bool {
        self.unflushed.load(Ordering::Acquire)
    }

    /// Has everything that was written leave. `Pending` has registered the task of `cx`: for the driver alone.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut records = self.lock();
            self.flush(&mut records)?;
            if records.outgoing.is_empty() {
                return Poll::Ready(Ok(()));
            }
            drop(records);
            ready!(self.tcp.poll_write_ready(cx))?;
        }
    }

    /// Tells the client that nothing more comes, as far as the kernel takes it.
    pub(crate) fn close_notify(&self) -> io::Result<()> {
        let mut records = self.lock();
        records.close()?;
        self.flush(&mut records)
    }

    /// Closes the stream for writing or for both directions, without waiting.
    pub(crate) fn shutdown(&self, how: Shutdown) {
        // An error says that the connection is gone, which is what is wanted.
        let _ = self.close_notify();
        let _ = SockRef::from(&self.tcp).shutdown(how);
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Invariant: `outgoing` is empty before.
    fn seal_and_write(&self, records: &mut Records, plaintext: &[u8]) -> io::Result<usize> {
        scratch::with(|sealed| {
            let mut taken = 0;
            for round in plaintext.chunks(ROUND) {
                let length = records.seal(round, sealed)?;
                taken += round.len();
                let sealed = &sealed[..length];
                let written = if records.outgoing.is_empty() {
                    write_some(&self.tcp, sealed)?
                } else {
                    0
                };
                if written < sealed.len() {
                    records.outgoing.extend_from_slice(&sealed[written..]);
                    self.flush(records)?;
                    if !records.outgoing.is_empty() {
                        break;
                    }
                }
            }
            Ok(taken)
        })
    }

    /// Writes what is encrypted, as far as the kernel takes it.
    fn flush(&self, records: &mut Records) -> io::Result<()> {
        if !records.outgoing.is_empty() {
            let written = write_some(&self.tcp, &records.outgoing)?;
            if written == records.outgoing.len() {
                records.outgoing = Vec::new();
            } else {
                records.outgoing.drain(..written);
            }
        }
        let unflushed = !records.outgoing.is_empty();
        if self.unflushed.load(Ordering::Relaxed) != unflushed {
            self.unflushed.store(unflushed, Ordering::Release);
        }
        Ok(())
    }
}

impl Records {
    fn take_plaintext(&mut self, buffer: &mut [u8]) -> usize {
        let taken = self.plaintext.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&self.plaintext[..taken]);
        if taken == self.plaintext.len() {
            self.plaintext = Vec::new();
        } else {
            self.plaintext.drain(..taken);
        }
        taken
    }

    /// Works off every whole record of `input`: how many bytes of it are done with, and how many of `buffer` are filled.
    fn receive(&mut self, input: &mut [u8], buffer: &mut [u8]) -> io::Result<(usize, usize)> {
        let received = self.work_off(input, buffer);
        if received.is_err() {
            self.fail();
        }
        received
    }

    /// What came last makes no sense: nothing more is read, or said but what waits to be written.
    fn fail(&mut self) {
        self.failed = true;
        self.ended = true;
        self.incoming = Vec::new();
    }

    fn work_off(&mut self, input: &mut [u8], buffer: &mut [u8]) -> io::Result<(usize, usize)> {
        let is_plain = !self.is_open && input.first().is_some_and(u8::is_ascii_uppercase);
        let (mut consumed, mut filled) = (0, 0);
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.tls.process_tls_records(&mut input[consumed..]);
            let mut done = false;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let AppDataRecord {
                            discard: more,
                            payload,
                            ..
                        } = record.map_err(invalid)?;
                        let taken = payload.len().min(buffer.len() - filled);
                        buffer[filled..filled + taken].copy_from_slice(&payload[..taken]);
                        self.plaintext.extend_from_slice(&payload[taken..]);
                        filled += taken;
                        discard += more;
                    }
                }
                Ok(ConnectionState::EncodeTlsData(record)) => encode(record, &mut self.outgoing)?,
                Ok(ConnectionState::TransmitTlsData(sent)) => sent.done(),
                Ok(ConnectionState::PeerClosed) => self.ended = true,
                Ok(ConnectionState::WriteTraffic(_)) => {
                    self.is_open = true;
                    done = true;
                }
                Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) => done = true,
                // Early data is never offered.
                Ok(other) => return Err(invalid(format!("unexpected state {other:?}"))),
                Err(error) if is_plain => {
                    self.outgoing = PLAIN_HTTP.to_vec();
                    return Err(invalid(format!("this looks like plain HTTP: {error}")));
                }
                Err(error) => {
                    self.put_alert(&mut input[consumed + discard..]);
                    return Err(invalid(error));
                }
            }
            consumed += discard;
            if done {
                return Ok((consumed, filled));
            }
        }
    }

    /// After an error the alert that tells the client of it is ready to be sent. `input` is what rustls has not taken: it has
    /// kept places in it. It is asked once: the next time it would go over `input` again, and fail again.
    fn put_alert(&mut self, input: &mut [u8]) {
        if let Ok(ConnectionState::EncodeTlsData(record)) = self.tls.process_tls_records(input).state {
            // Without the alert the client sees the end alone.
            let _ = encode(record, &mut self.outgoing);
        }
    }

    /// Encrypts `plaintext` into `sealed`; how long it is then. What the protocol has to say before is in `outgoing`.
    fn seal(&mut self, plaintext: &[u8], sealed: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.failed {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let UnbufferedStatus { discard, state } = self.tls.process_tls_records(&mut self.incoming);
            self.failed = state.is_err();
            match state.map_err(invalid)? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    return traffic.encrypt(plaintext, sealed).map_err(invalid);
                }
                ConnectionState::EncodeTlsData(record) => encode(record, &mut self.outgoing)?,
                ConnectionState::TransmitTlsData(sent) => sent.done(),
                ConnectionState::PeerClosed => self.ended = true,
                _ => return Err(io::ErrorKind::BrokenPipe.into()),
            }
            self.incoming.drain(..discard);
        }
    }

    /// Puts a close notification behind what waits; only the first time.
    fn close(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.closed, true) {
            return Ok(());
        }
        loop {
            if self.failed {
                return Ok(());
            }
            let UnbufferedStatus { discard, state } = self.tls.process_tls_records(&mut self.incoming);
            self.failed = state.is_err();
            match state.map_err(invalid)? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    let mut notification = [0; OVERHEAD];
                    let length = traffic.queue_close_notify(&mut notification).map_err(invalid)?;
                    self.outgoing.extend_from_slice(&notification[..length]);
                    return Ok(());
                }
                ConnectionState::EncodeTlsData(record) => encode(record, &mut self.outgoing)?,
                ConnectionState::TransmitTlsData(sent) => sent.done(),
                ConnectionState::PeerClosed => self.ended = true,
                _ => return Ok(()),
            }
            self.incoming.drain(..discard);
        }
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsStream").field(&self.tcp).finish()
    }
}

/// For the HTTP server, which alone has the stream until a WebSocket takes it over.
impl AsyncRead for TlsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(Self::poll_read(&self, cx, buffer.initialize_unfilled()))?;
        buffer.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Self::poll_write(&self, cx, &[IoSlice::new(data)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        chunks: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Self::poll_write(&self, cx, chunks)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_flush(&self, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.close_notify()?;
        ready!(Self::poll_flush(&self, cx))?;
        Poll::Ready(SockRef::from(&self.tcp).shutdown(Shutdown::Write))
    }
}

/// One `send`; 0 if the kernel takes nothing.
fn write_some(tcp: &TcpStream, data: &[u8]) -> io::Result<usize> {
    loop {
        match tcp.try_write(data) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

fn encode<D>(mut record: EncodeTlsData<'_, D>, outgoing: &mut Vec<u8>) -> io::Result<()> {
    let Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) = record.encode(&mut [])
    else {
        return Ok(());
    };
    let at = outgoing.len();
    outgoing.resize(at + required_size, 0);
    record.encode(&mut outgoing[at..]).map_err(invalid)?;
    Ok(())
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
