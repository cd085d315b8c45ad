//! Clients that take nothing, or little at a time, on streams that a test opens and shuts.

use std::io;
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use gatewire_hub::{Id, Outbox as _, Prepared};
use gatewire_proto::websocket::CloseCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::*;
use crate::config::EngineConfig;
use crate::cork;
use crate::rules::Rules;
use crate::stream::{Other, Stream};

/// Takes as many bytes as it may, and counts how often it is offered some.
#[derive(Clone)]
struct Valve(Arc<Mutex<Taken>>);

struct Taken {
    may_take: usize,
    bytes: Vec<u8>,
    offers: usize,
}

impl Valve {
    fn new(may_take: usize) -> Self {
        Self(Arc::new(Mutex::new(Taken {
            may_take,
            bytes: Vec::new(),
            offers: 0,
        })))
    }

    fn open(&self, may_take: usize) {
        self.0.lock().unwrap().may_take = may_take;
    }

    fn taken(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap().bytes)
    }

    fn offers(&self) -> usize {
        std::mem::take(&mut self.0.lock().unwrap().offers)
    }
}

impl AsyncRead for Valve {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Valve {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let taken = &mut *self.0.lock().unwrap();
        taken.offers += 1;
        if taken.may_take == 0 {
            return Poll::Pending;
        }
        let count = data.len().min(taken.may_take);
        taken.may_take -= count;
        taken.bytes.extend_from_slice(&data[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn rules(limits: Limits) -> Arc<Rules> {
    let config = EngineConfig {
        limits,
        ..EngineConfig::default()
    };
    Arc::new(Rules::from(&config))
}

fn session(rules: &Arc<Rules>, may_take: usize) -> (Arc<Outbox>, Valve) {
    let valve = Valve::new(may_take);
    let stream = Stream::Other(Other::new(valve.clone()));
    let now = Instant::now();
    let outbox = Outbox::websocket(Id::generate(), Dialect::V4, rules, stream, &[], None, now);
    (outbox, valve)
}

fn poll_flush(outbox: &Outbox) -> Poll<()> {
    outbox.poll_flush(&mut Context::from_waker(Waker::noop()))
}

/// An event whose message has so many bytes.
fn event(len: usize) -> Prepared {
    let data = format!(r#"["{}"]"#, "x".repeat(len - 6));
    Prepared::from_data("/", &data, &[], None)
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn who_reads_has_each_message_at_once_whoever_does_not() {
    let rules = rules(Limits::default());
    let slow: Vec<_> = (0..100).map(|_| session(&rules, 0)).collect();
    let readers: Vec<_> = (0..900).map(|_| session(&rules, usize::MAX)).collect();
    let message = event(32);
    for round in 0..50 {
        for (outbox, _) in slow.iter().chain(&readers) {
            outbox.send(&message);
        }
        // No driver has run: nothing but the call itself brings the message to those who read.
        for (_, valve) in &readers {
            assert_eq!((valve.offers(), valve.taken().len()), (1, 34));
        }
        for (_, valve) in &slow {
            let offers = valve.offers();
            assert_eq!(
                offers,
                usize::from(round == 0),
                "who takes nothing is not asked again"
            );
        }
    }
}

#[test]
fn what_a_cork_holds_back_is_offered_before_it_is_too_much() {
    const EVENTS: usize = 1_000;
    let rules = rules(Limits {
        max_outbox: 100_000,
        ..Limits::default()
    });
    let (reader, taken) = session(&rules, usize::MAX);
    let (slow, _) = session(&rules, 0);
    let corked = cork::enter();
    for _ in 0..EVENTS {
        reader.send(&event(1_000));
        // As volatile events are sent.
        if slow.is_writable() {
            slow.send(&event(1_000));
        }
    }
    assert!(reader.waiting() <= HIGH_WATER + 1_004);
    drop(corked);
    assert_eq!(taken.taken().len(), EVENTS * 1_004);
    assert!(!reader.is_closing() && !slow.is_closing());
    assert!(slow.waiting() <= HIGH_WATER + 1_004);
}

#[test]
fn the_message_that_has_begun_is_ended_before_the_close_frame() {
    let code = CloseCode::from_wire(4_000).unwrap();
    let rules = rules(Limits {
        max_outbox: 1_000,
        slow_consumer: SlowConsumer::Close(code),
        ..Limits::default()
    });
    let (outbox, valve) = session(&rules, 2);
    outbox.send(&event(100));
    assert_eq!(valve.taken(), [0x81, 100]);
    for _ in 0..20 {
        outbox.send(&event(100));
    }
    assert!(outbox.is_closing());
    assert_eq!(rules.faults.get(Fault::Unread), 1);
    valve.open(usize::MAX);
    assert!(poll_flush(&outbox).is_ready());
    let close = websocket::close_frame(Some(code), TOO_SLOW);
    assert_eq!(
        valve.taken(),
        [&event(100).websocket().concat()[2..], &close].concat()
    );
}

#[test]
fn all_together_keep_no_more_than_the_total() {
    const BIG: usize = 256 * 1024;
    let rules = rules(Limits {
        max_outbox: 1 << 20,
        max_outbox_total: Some(BIG),
        ..Limits::default()
    });
    let [first, second, third] = [(); 3].map(|()| session(&rules, 0));
    first.0.send(&event(BIG));
    assert_eq!(rules.budget.granted(), BIG, "without what is free");
    second.0.send(&event(HIGH_WATER / 2));
    assert!(!second.0.is_closing(), "so much may wait for each");
    second.0.send(&event(HIGH_WATER));
    assert!(second.0.is_closing());
    // Once it is taken, others may have it.
    first.1.open(usize::MAX);
    assert!(poll_flush(&first.0).is_ready());
    assert_eq!(rules.budget.granted(), 0);
    third.0.send(&event(BIG));
    assert!(!first.0.is_closing() && !third.0.is_closing());
    third.0.shut();
    assert_eq!(rules.budget.granted(), 0);
}

#[test]
fn events_are_dropped_above_half_of_the_bound() {
    let rules = rules(Limits {
        max_outbox: 1_000,
        slow_consumer: SlowConsumer::DropEvents,
        ..Limits::default()
    });
    let (outbox, valve) = session(&rules, 0);
    assert!(gatewire_hub::Outbox::is_lossy(&*outbox));
    let send_events = |count: usize| {
        let sent = (0..count).filter(|_| !outbox.drops_event());
        sent.inspect(|_| outbox.send(&event(98))).count()
    };
    let sent = send_events(20);
    assert!((3..=6).contains(&sent), "{sent} of 100 bytes each");
    assert_eq!(rules.faults.get(Fault::Dropped), 20 - sent as u64);
    // What is no event goes out still, as far as there is place.
    outbox.send_packet(b"2");
    assert!(!outbox.is_closing());
    valve.open(usize::MAX);
    assert!(poll_flush(&outbox).is_ready());
    assert_eq!(valve.taken().len(), sent * 100 + 3);
    assert_eq!(send_events(20), 20, "it takes them again");
    valve.open(0);
    for _ in 0..1_000 {
        outbox.send_packet(b"2");
    }
    assert!(outbox.is_closing(), "the bound holds for everything");
}

#[test]
fn who_takes_up_what_it_missed_lets_others_go_on() {
    let rules = rules(Limits::default());
    let (outbox, valve) = session(&rules, 0);
    for _ in 0..9 {
        outbox.send(&event(1 << 20));
    }
    valve.open(usize::MAX);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut turns = 0;
    while outbox.poll_flush(&mut Context::from_waker(&waker)).is_pending() {
        turns += 1;
        assert_eq!(wakes.0.load(Ordering::SeqCst), turns, "it asks to go on");
    }
    assert!(turns >= 4, "{turns}");
    assert_eq!(valve.taken().len(), 9 * ((1 << 20) + 10));
    assert!(outbox.is_writable());
}

#[test]
fn a_poll_gives_room_and_what_was_granted_back() {
    let rules = rules(Limits {
        max_outbox_total: Some(1 << 20),
        ..Limits::default()
    });
    let outbox = Outbox::polling(Id::generate(), Dialect::V4, &rules, Instant::now());
    outbox.send(&event(512 * 1024));
    assert!(!outbox.has_room());
    assert!(rules.budget.granted() > 0);
    let mut poll = std::pin::pin!(crate::transport::polling::poll(&outbox, None, None));
    let polled = poll.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_ready());
    assert!(outbox.has_room());
    assert_eq!(rules.budget.granted(), 0);
}
