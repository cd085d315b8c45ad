//! Connections whose hyper comes and goes. The clock is paused, so that it goes whenever nothing happens.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Channel, Either, Full};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::stream::Other;

type Body = Either<Full<Bytes>, Channel<Bytes>>;

const LONG: Duration = Duration::from_secs(3);

/// Counts itself for as long as it is there.
struct Present(Arc<AtomicUsize>);

impl Drop for Present {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Peer {
    stream: DuplexStream,
    served: JoinHandle<()>,
    /// Requests that are being answered.
    under_way: Arc<AtomicUsize>,
    tell: Option<oneshot::Sender<()>>,
}

/// `/now` is answered at once, `/late` after a while, `/body` when its body has come, `/parts` with one that comes bit by
/// bit, and `/kept` at once, though its body is read by somebody else.
async fn answer(request: Request<Incoming>, present: Present) -> Response<Body> {
    let _present = present;
    let text = |text: String| Response::new(Either::Left(Full::from(text)));
    match request.uri().path() {
        "/late" => {
            sleep(LONG).await;
            text("late".to_owned())
        }
        "/body" => {
            sleep(LONG).await;
            let body = request.into_body().collect().await.unwrap().to_bytes();
            text(format!("{} bytes", body.len()))
        }
        "/parts" => {
            let (mut parts, body) = Channel::new(1);
            tokio::spawn(async move {
                for part in ["one ", "two ", "three"] {
                    sleep(LONG).await;
                    let _ = parts.send(Frame::data(Bytes::from(part))).await;
                }
            });
            Response::new(Either::Right(body))
        }
        "/kept" => {
            tokio::spawn(async move {
                let _ = request.into_body().collect().await;
            });
            text("kept".to_owned())
        }
        path => text(format!("{} {path}", request.method())),
    }
}

impl Peer {
    fn connect() -> Self {
        let (stream, far) = tokio::io::duplex(64 << 10);
        let (tell, told) = oneshot::channel::<()>();
        let under_way = Arc::new(AtomicUsize::new(0));
        let count = under_way.clone();
        let served = tokio::spawn(async move {
            let config = ListenerConfig::default();
            let told = pin!(async {
                if told.await.is_err() {
                    pending::<()>().await;
                }
            });
            let handler = |request| {
                count.fetch_add(1, Ordering::SeqCst);
                answer(request, Present(count.clone()))
            };
            let _ = serve(Stream::Other(Other::new(far)), &config, handler, told).await;
        });
        Self {
            stream,
            served,
            under_way,
            tell: Some(tell),
        }
    }

    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    async fn get(&mut self, path: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"))
            .await;
    }

    /// Reads until this has come, which is the end of what has.
    async fn expect(&mut self, end: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(end) {
            let mut buffer = [0; 4096];
            let read = timeout(Duration::from_secs(60), self.stream.read(&mut buffer));
            let read = read.await.expect("an answer comes").unwrap();
            assert!(read > 0, "the end, after {text:?}");
            text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        text
    }

    /// How long it takes until the connection ends.
    async fn ended(&mut self) -> Duration {
        let begin = Instant::now();
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&rest), "");
        (&mut self.served).await.unwrap();
        begin.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_long_in_coming_is_like_any_other() {
    let mut peer = Peer::connect();
    for _ in 0..3 {
        peer.get("/late").await;
        let late = peer.expect("late").await;
        assert!(late.starts_with("HTTP/1.1 200 OK\r\n"), "{late}");
        assert!(late.contains("\r\ncontent-length: 4\r\n"), "{late}");
        assert!(late.contains("\r\ndate: "), "{late}");
        assert!(!late.contains("connection"), "{late}");
        peer.get("/now").await;
        peer.expect("GET /now").await;
        sleep(LONG).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_wants_the_connection_closed_has_its_way() {
    for option in ["close", "Close", "foo, close"] {
        let mut peer = Peer::connect();
        peer.send(&format!(
            "GET /late HTTP/1.1\r\nhost: x\r\nConnection: {option}\r\n\r\n"
        ))
        .await;
        let late = peer.expect("late").await;
        assert!(late.contains("\r\nconnection: close\r\n"), "{late}");
        assert_eq!(peer.ended().await, Duration::ZERO);
    }
    let mut peer = Peer::connect();
    peer.send("GET /late HTTP/1.0\r\n\r\n").await;
    let late = peer.expect("late").await;
    assert!(late.starts_with("HTTP/1.0 200 OK\r\n"), "{late}");
    assert_eq!(peer.ended().await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn only_the_head_answers_a_head() {
    let mut peer = Peer::connect();
    peer.send("HEAD /late HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let head = peer.expect("\r\n\r\n").await;
    assert!(head.contains("\r\ncontent-length: 4\r\n"), "{head}");
    peer.get("/now").await;
    assert!(peer.expect("GET /now").await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test(start_paused = true)]
async fn what_comes_behind_a_request_waits_for_its_answer() {
    let mut peer = Peer::connect();
    peer.get("/late").await;
    sleep(Duration::from_secs(1)).await;
    peer.get("/first").await;
    sleep(Duration::from_secs(1)).await;
    peer.send("GET /second HTTP/1.1\r\nhost").await;
    let answers = peer.expect("GET /first").await;
    assert!(answers.find("late") < answers.find("GET /first"), "{answers}");
    sleep(LONG).await;
    peer.send(": x\r\n\r\n").await;
    peer.expect("GET /second").await;

    // All at once, of which the first is long in coming.
    peer.send("GET /late HTTP/1.1\r\n\r\nGET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n")
        .await;
    let answers = peer.expect("GET /b").await;
    assert!(answers.find("late") < answers.find("GET /a"), "{answers}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_while_it_waits_is_noticed() {
    let Peer {
        mut stream,
        served,
        under_way,
        tell: _tell,
    } = Peer::connect();
    stream.write_all(b"GET /late HTTP/1.1\r\n\r\n").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(under_way.load(Ordering::SeqCst), 1);
    drop(stream);
    let begin = Instant::now();
    served.await.unwrap();
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert_eq!(under_way.load(Ordering::SeqCst), 0, "nobody is answered");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_nothing_is_asked_on_is_closed_in_time() {
    let limit = ListenerConfig::default().header_timeout;
    let tick = Duration::from_millis(100);
    let took = Peer::connect().ended().await;
    assert!((limit..limit + tick).contains(&took), "{took:?}");

    let mut peer = Peer::connect();
    peer.send("GET /now HT").await;
    sleep(limit / 2).await;
    peer.send("TP/1.1").await;
    let took = peer.ended().await;
    assert!((limit / 2..limit / 2 + tick).contains(&took), "{took:?}");

    for (path, end) in [("/now", "GET /now"), ("/late", "late")] {
        let mut peer = Peer::connect();
        peer.get(path).await;
        peer.expect(end).await;
        let took = peer.ended().await;
        assert!((limit - tick..limit + tick).contains(&took), "{path}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_listener_waits_for_answers_alone() {
    let mut waiting = Peer::connect();
    waiting.get("/late").await;
    let mut idle = Peer::connect();
    idle.get("/now").await;
    idle.expect("GET /now").await;
    let mut new = Peer::connect();
    let mut late = Peer::connect();
    sleep(Duration::from_secs(1)).await;
    for peer in [&mut waiting, &mut idle, &mut new, &mut late] {
        peer.tell.take().unwrap().send(()).unwrap();
    }
    assert_eq!(idle.ended().await, Duration::ZERO);
    late.get("/now").await;
    late.expect("GET /now").await;
    assert_eq!(late.ended().await, Duration::ZERO);
    let took = new.ended().await;
    assert!((FIRST_REQUEST..FIRST_REQUEST * 2).contains(&took), "{took:?}");
    let answer = waiting.expect("late").await;
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert_eq!(waiting.ended().await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn bodies_that_come_slowly_come_whole() {
    let mut peer = Peer::connect();
    peer.send("POST /body HTTP/1.1\r\ncontent-length: 10\r\n\r\n01234")
        .await;
    sleep(LONG * 2).await;
    peer.send("56789").await;
    peer.expect("10 bytes").await;
    peer.get("/parts").await;
    let parts = peer.expect("\r\n0\r\n\r\n").await;
    assert!(parts.contains("three"), "{parts}");
    sleep(LONG).await;
    peer.get("/now").await;
    peer.expect("GET /now").await;
}

/// What of a body comes after the answer must not be taken for a request.
#[tokio::test(start_paused = true)]
async fn the_rest_of_a_body_is_no_request() {
    let mut peer = Peer::connect();
    let smuggled = "GET /smuggled HTTP/1.1\r\n\r\n";
    let length = 4 + smuggled.len();
    peer.send(&format!(
        "{} /kept HTTP/1.1\r\ncontent-length: {length}\r\n\r\n1234",
        Method::POST
    ))
    .await;
    peer.expect("kept").await;
    sleep(LONG).await;
    peer.send(smuggled).await;
    // hyper may go on, or close: the connection must not answer.
    sleep(LONG).await;
    let mut rest = [0; 4096];
    let read = timeout(LONG, peer.stream.read(&mut rest)).await;
    assert!(
        !matches!(read, Ok(Ok(1..))),
        "{:?}",
        String::from_utf8_lossy(&rest)
    );
}
