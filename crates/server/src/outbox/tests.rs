//! A stream that holds back what it was given, as TLS does, and the driver that must see it out.

use std::io;
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Wake, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::bound::HIGH_WATER;
use super::*;
use crate::stream::Other;

/// Takes all that is written, but lets it go only when told to, as TLS over a full connection.
#[derive(Clone, Default)]
struct Holding(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    held: Vec<u8>,
    gone: Vec<u8>,
    is_open: bool,
    waker: Option<Waker>,
}

impl Holding {
    fn open(&self) {
        let mut held = self.0.lock().unwrap();
        held.is_open = true;
        held.waker.take().unwrap().wake();
    }
}

impl AsyncRead for Holding {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Holding {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap().held.extend_from_slice(data);
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let held = &mut *self.0.lock().unwrap();
        if !held.is_open {
            held.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        held.gone.append(&mut held.held);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn what_a_stream_holds_back_is_flushed_by_the_driver() {
    let stream = Holding::default();
    let outbox = Outbox::websocket(
        Id::generate(),
        Dialect::V4,
        &Arc::default(),
        Stream::Other(Other::new(stream.clone())),
        &[],
        None,
        Instant::now(),
    );
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut cx = Context::from_waker(&waker);
    let woken = || wakes.0.swap(0, Ordering::SeqCst);

    outbox.driver.register(&waker);
    outbox.send_packet(b"4a");
    assert_eq!(woken(), 1, "the driver hears of it");
    assert!(outbox.poll_flush(&mut cx).is_pending());
    // The driver waits at the stream now; another sender must not take its place there.
    outbox.send_packet(b"4b");
    stream.open();
    assert_eq!(woken(), 1);
    assert!(outbox.poll_flush(&mut cx).is_ready());
    assert_eq!(stream.0.lock().unwrap().gone, b"\x81\x024a\x81\x024b");

    outbox.driver.register(&waker);
    outbox.send_packet(b"4c");
    assert_eq!(woken(), 0, "nothing is held back");
    assert!(stream.0.lock().unwrap().gone.ends_with(b"4c"));
}

#[test]
fn the_driver_hears_of_room_that_was_asked_for() {
    use gatewire_hub::Outbox as _;

    let outbox = Outbox::polling(Id::generate(), Dialect::V4, &Arc::default(), Instant::now());
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let woken = || wakes.0.swap(0, Ordering::SeqCst);
    let poll = || {
        outbox.driver.register(&waker);
        let mut poll = std::pin::pin!(crate::transport::polling::poll(&outbox, None, None));
        assert!(
            poll.as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_ready()
        );
    };

    assert!(outbox.has_room());
    outbox.send_packet(b"4a");
    poll();
    assert_eq!(woken(), 0, "nobody asked");
    outbox.send_packet(&vec![b'4'; HIGH_WATER]);
    assert!(!outbox.has_room());
    poll();
    assert_eq!(woken(), 1);
    assert!(outbox.has_room());
    outbox.send_packet(&vec![b'4'; HIGH_WATER]);
    assert!(!outbox.has_room());
    outbox.driver.register(&waker);
    outbox.begin_close(CloseReason::TransportError);
    assert_eq!(woken(), 1);
    assert!(outbox.has_room(), "one that ends is not waited for");
}
