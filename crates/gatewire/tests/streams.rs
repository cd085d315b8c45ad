//! Handlers that return streams: every item is emitted, the acknowledgement is answered at the end.

mod support;

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use gatewire::prelude::*;
use serde::{Serialize, Serializer};
use support::{Peer, ask};

/// Cannot be encoded.
#[derive(Clone)]
struct Sour;

impl Serialize for Sour {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("sour"))
    }
}

/// Counts those of its kind that are dropped.
struct Dropped(Arc<Counter>);

#[derive(Default)]
struct Counter(AtomicUsize);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A type of the user's own, not called a stream.
struct Countdown(u8);

impl Stream for Countdown {
    type Item = u8;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u8>> {
        let next = self.0.checked_sub(1);
        self.0 = next.unwrap_or_default();
        Poll::Ready(next)
    }
}

#[websocket_gateway]
struct Gateway {
    #[websocket_server]
    server: Server,
    #[inject(default)]
    numbers: Vec<u8>,
    #[inject(default)]
    dropped: Arc<Counter>,
}

#[subscriptions]
impl Gateway {
    #[subscribe_message("values")]
    fn values(&self) -> impl Stream<Item = u8> + use<> {
        stream::iter([1, 2, 3])
    }

    #[subscribe_message("empty")]
    async fn empty(&self) -> impl Stream<Item = u8> {
        stream::iter(self.numbers.iter().copied())
    }

    #[subscribe_message("borrowed")]
    fn borrowed(&self, MessageBody(count): MessageBody<usize>) -> BoxStream<'_, usize> {
        stream::iter(0..count).map(|n| n + self.numbers.len()).boxed()
    }

    #[subscribe_message("own")]
    fn own(&self) -> Countdown {
        Countdown(2)
    }

    #[subscribe_message("own-async")]
    async fn own_async(&self) -> Result<Countdown, WsException> {
        tokio::task::yield_now().await;
        Ok(Countdown(1))
    }

    #[subscribe_message("refused")]
    fn refused(&self) -> Result<Countdown, &'static str> {
        Err("no")
    }

    #[subscribe_message("none")]
    async fn none(&self) -> Option<impl Stream<Item = u8>> {
        None::<stream::Empty<u8>>
    }

    #[subscribe_message("mixed")]
    async fn mixed(&self) -> impl Stream<Item = Result<Option<WsResponse<u8>>, WsException>> {
        stream::iter([
            Ok(Some(WsResponse::new("a", 1))),
            Ok(None),
            Ok(Some(WsResponse::new("b", 2))),
            Err(WsException::new("broken")),
            Ok(Some(WsResponse::new("c", 3))),
        ])
    }

    #[subscribe_message("units")]
    fn units(&self) -> impl Stream<Item = ()> + use<> {
        stream::iter([(), ()])
    }

    #[subscribe_message("payloads")]
    fn payloads(&self, all: Payload) -> impl Stream<Item = Payload> + use<> {
        stream::iter([all.clone(), all])
    }

    #[subscribe_message("sour")]
    fn sour(&self) -> impl Stream<Item = Sour> + use<> {
        stream::repeat(Sour)
    }

    #[subscribe_message("panic")]
    fn panic(&self) -> impl Stream<Item = u8> + use<> {
        stream::iter([1, 0]).map(|n| if n == 0 { panic!("secret") } else { n })
    }

    #[subscribe_message("by-hand")]
    fn by_hand(&self, ack: Ack) -> impl Stream<Item = u8> + use<> {
        stream::once(async move {
            ack.send("mine");
            1
        })
    }

    #[subscribe_message("late", timeout = 20)]
    fn late(&self) -> impl Stream<Item = u8> + use<> {
        stream::iter([1]).chain(stream::pending())
    }

    #[subscribe_message("endless", concurrent)]
    fn endless(&self) -> impl Stream<Item = u8> {
        let held = Dropped(self.dropped.clone());
        stream::iter([1]).chain(stream::poll_fn(move |_| {
            let _held = &held;
            Poll::Pending
        }))
    }

    #[subscribe_message("endless-in-order")]
    fn endless_in_order(&self) -> impl Stream<Item = u8> {
        self.endless()
    }

    #[subscribe_message("flood", concurrent)]
    fn flood(&self) -> impl Stream<Item = u8> + use<> {
        let held = Dropped(self.dropped.clone());
        stream::repeat_with(move || {
            let _held = &held;
            7
        })
    }
}

#[module(providers = [Gateway])]
struct Module;

async fn gateway() -> Arc<Gateway> {
    let app = App::create::<Module>().without_logger().await.unwrap();
    // The handlers go with the application, which is to live as long as the test.
    Box::leak(Box::new(app)).get::<Gateway>()
}

#[tokio::test]
async fn items_are_emitted_and_the_end_is_acknowledged() {
    let mut peer = Peer::joined(&gateway().await.server);
    let error = |event: &str, message: &str| {
        format!(r#"{{"status":"error","message":"{message}","cause":{{"pattern":"{event}","data":0}}}}"#)
    };
    let failed = |event: &str, message: &str| {
        let error = error(event, message);
        vec![format!(r#"2["exception",{error}]"#), format!("37[{error}]")]
    };
    let lines = |lines: &[&str]| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
    let then = |first: &[&str], rest: Vec<String>| [lines(first), rest].concat();
    let cases = [
        (
            "values",
            lines(&[r#"2["values",1]"#, r#"2["values",2]"#, r#"2["values",3]"#, "37[]"]),
        ),
        ("empty", lines(&["37[]"])),
        ("borrowed", lines(&["37[]"])),
        ("own", lines(&[r#"2["own",1]"#, r#"2["own",0]"#, "37[]"])),
        ("own-async", lines(&[r#"2["own-async",0]"#, "37[]"])),
        ("refused", failed("refused", "no")),
        ("none", lines(&["37[]"])),
        (
            "mixed",
            then(&[r#"2["a",1]"#, r#"2["b",2]"#], failed("mixed", "broken")),
        ),
        ("units", lines(&["37[]"])),
        (
            "payloads",
            lines(&[r#"2["payloads",0]"#, r#"2["payloads",0]"#, "37[]"]),
        ),
        ("sour", failed("sour", "Internal server error")),
        (
            "panic",
            then(&[r#"2["panic",1]"#], failed("panic", "Internal server error")),
        ),
        ("by-hand", lines(&[r#"37["mine"]"#, r#"2["by-hand",1]"#])),
        (
            "late",
            then(&[r#"2["late",1]"#], failed("late", "Request timeout")),
        ),
    ];
    for (event, expected) in cases {
        for (asked, expected) in [
            ("7", expected.clone()),
            (
                "",
                expected
                    .into_iter()
                    .filter(|line| !line.starts_with('3'))
                    .collect(),
            ),
        ] {
            let packet = format!(r#"2{asked}["{event}",0]"#);
            assert_eq!(
                ask(&mut peer, &packet, expected.len()).await,
                expected,
                "{packet}"
            );
        }
    }
    let sent = peer.ask(r#"2["borrowed",2]"#);
    assert_eq!(sent, [r#"2["borrowed",0]"#, r#"2["borrowed",1]"#]);
}

#[tokio::test]
async fn a_stream_is_dropped_when_its_client_leaves() {
    let gateway = gateway().await;
    let mut peer = Peer::joined(&gateway.server);
    assert_eq!(peer.ask(r#"2["endless"]"#), [r#"2["endless",1]"#]);
    assert_eq!(peer.ask(r#"2["endless"]"#), [r#"2["endless",1]"#]);
    assert_eq!(
        peer.ask(r#"2["endless-in-order"]"#),
        [r#"2["endless-in-order",1]"#]
    );
    assert_eq!(gateway.dropped.0.load(Ordering::SeqCst), 0);
    // No hook or handler is left that the end would have to wait for.
    peer.close().await;
    assert_eq!(gateway.dropped.0.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_stream_goes_no_faster_than_its_client_takes_it() {
    let gateway = gateway().await;
    let mut peer = Peer::joined(&gateway.server);
    peer.set_full(true);
    assert!(peer.ask(r#"2["flood"]"#).is_empty());
    assert_eq!(peer.ask(r#"21["own"]"#), [""; 0], "this one waits, too");
    peer.set_full(false);
    // It lets others have their turns although it always has an item.
    let sent = peer.wait(100).await;
    assert!(sent.contains(&"31[]".to_owned()), "{sent:?}");
    peer.set_full(true);
    let before = peer.wait(0).await.len();
    assert!(before < 1000, "{before} in a row");
    peer.close().await;
    assert_eq!(gateway.dropped.0.load(Ordering::SeqCst), 1);
}
