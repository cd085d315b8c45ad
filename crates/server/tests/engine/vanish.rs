//! Clients that vanish at every point of a connection's life, over Socket.IO: whatever they were at, the engine, the
//! namespaces and the tasks are back to nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Frame, TestSocket, read_head};
use gatewire_hub::{
    BoxFuture, ConnectError, DisconnectReason, Event, HubConfig, Io, Namespace, NamespaceHandler, Socket,
};
use gatewire_proto::websocket::Opcode;
use gatewire_server::{Engine, EngineConfig, Limits, Listener, SocketIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(30);

/// Lets clients in after a moment, and counts them in and out. The event `slow` takes a moment, `ask` waits for the
/// client's answer, `flood` sends much, `out` disconnects.
#[derive(Default)]
struct Slow {
    entered: AtomicUsize,
    left: AtomicUsize,
}

impl NamespaceHandler for Slow {
    fn connect(&self, _: &Socket) -> BoxFuture<'static, Result<(), ConnectError>> {
        self.entered.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            sleep(Duration::from_millis(20)).await;
            Ok(())
        })
    }

    fn event(&self, socket: &Socket, event: Event<'_>) -> Option<BoxFuture<'static, ()>> {
        let socket = socket.clone();
        socket.join(["all", event.name()]);
        match event.name() {
            "slow" => Some(Box::pin(sleep(Duration::from_millis(30)))),
            "ask" => Some(Box::pin(async move {
                let _ = socket.emit_with_ack("question", &()).await;
            })),
            "flood" => {
                let text = "x".repeat(10_000);
                for _ in 0..100 {
                    socket.namespace().to("all").emit("flood", &text);
                }
                None
            }
            "out" => {
                socket.disconnect(true);
                None
            }
            _ => None,
        }
    }

    fn disconnect(&self, _: &Socket, _: DisconnectReason) -> Option<BoxFuture<'static, ()>> {
        self.left.fetch_add(1, Ordering::SeqCst);
        Some(Box::pin(sleep(Duration::from_millis(5))))
    }
}

struct Served {
    address: SocketAddr,
    engine: Engine,
    namespace: Namespace,
    handler: Arc<Slow>,
}

/// With timeouts so many times as short as they may be for one client at a time.
async fn serve(scale: u32) -> Served {
    let io = Io::new(HubConfig {
        mailbox: 4,
        ..HubConfig::default()
    });
    let namespace = io.of("/");
    let handler = Arc::new(Slow::default());
    namespace.set_handler(handler.clone());
    let config = EngineConfig {
        ping_interval: scale * Duration::from_millis(400),
        ping_timeout: scale * Duration::from_millis(300),
        upgrade_timeout: scale * Duration::from_millis(500),
        connect_timeout: scale * Duration::from_millis(600),
        limits: Limits {
            close_timeout: scale * Duration::from_millis(400),
            polling_close_timeout: scale * Duration::from_millis(400),
            ..Limits::default()
        },
        ..EngineConfig::default()
    };
    let engine = Engine::new(config, SocketIo::new(io)).unwrap();
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = engine.clone();
    tokio::spawn(listener.serve(
        move |request: http::Request<_>, peer| {
            let engine = served.clone();
            async move { engine.handle(request, Some(peer)).await }
        },
        std::future::pending(),
    ));
    Served {
        address,
        engine,
        namespace,
        handler,
    }
}

/// A request on a connection of its own, whose answer is not read.
async fn begin(address: SocketAddr, method: &str, query: &str, length: usize, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{method} /socket.io/?EIO=4&transport=polling{query} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn ask(address: SocketAddr, method: &str, query: &str, body: &str) -> String {
    let mut stream = begin(address, method, query, body.len(), body).await;
    let (_, body) = read_answer(&mut stream).await;
    body
}

async fn read_answer(stream: &mut TcpStream) -> (String, String) {
    let head = read_head(stream).await;
    let length = head
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        })
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    (head, String::from_utf8(body).unwrap())
}

async fn polling(address: SocketAddr) -> String {
    let open = ask(address, "GET", "", "").await;
    open.split('"').nth(3).expect("an open packet").to_owned()
}

async fn websocket(address: SocketAddr, query: &str) -> TestSocket {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /socket.io/?EIO=4&transport=websocket{query} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    TestSocket(stream)
}

async fn joined(address: SocketAddr) -> TestSocket {
    let mut socket = websocket(address, "").await;
    socket.opened().await;
    socket.text("40").await;
    loop {
        if let Frame::Text(text) = socket.receive().await
            && text.starts_with("40")
        {
            return socket;
        }
    }
}

/// How far a client gets before it vanishes.
async fn live(address: SocketAddr, stage: usize) {
    match stage {
        // During the handshake.
        0 => drop(TcpStream::connect(address).await),
        1 => {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream
                .write_all(b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: t\r\nUpgr")
                .await
                .unwrap();
        }
        2 => drop(begin(address, "GET", "", 0, "").await),
        // Before CONNECT.
        3 => drop(polling(address).await),
        4 => {
            websocket(address, "").await.opened().await;
        }
        // While CONNECT is decided on.
        5 => {
            let mut socket = websocket(address, "").await;
            socket.opened().await;
            socket.text("40").await;
        }
        6 => {
            let sid = polling(address).await;
            ask(address, "POST", &format!("&sid={sid}"), "40").await;
        }
        // In the probe.
        7 | 8 => {
            let sid = polling(address).await;
            ask(address, "POST", &format!("&sid={sid}"), "40").await;
            let mut socket = websocket(address, &format!("&sid={sid}")).await;
            if stage == 8 {
                socket.text("2probe").await;
                socket.receive().await;
            }
        }
        // Right after the upgrade, with messages on the way.
        9 => {
            let sid = polling(address).await;
            ask(address, "POST", &format!("&sid={sid}"), "40\u{1e}42[\"flood\"]").await;
            let mut socket = websocket(address, &format!("&sid={sid}")).await;
            socket.text("2probe").await;
            socket.receive().await;
            socket.text("5").await;
            socket.text(r#"42["slow"]"#).await;
        }
        // While a POST is held, since its events are being handled; and in the middle of a body.
        10 => {
            let sid = polling(address).await;
            let events = ["40"]
                .into_iter()
                .chain([r#"42["slow"]"#; 20])
                .collect::<Vec<_>>();
            let body = events.join("\u{1e}");
            let stream = begin(address, "POST", &format!("&sid={sid}"), body.len(), &body).await;
            sleep(Duration::from_millis(60)).await;
            drop(stream);
        }
        11 => {
            let sid = polling(address).await;
            drop(begin(address, "POST", &format!("&sid={sid}"), 100, "40").await);
        }
        // While a GET waits.
        12 => {
            let sid = polling(address).await;
            ask(address, "POST", &format!("&sid={sid}"), "40").await;
            let stream = begin(address, "GET", &format!("&sid={sid}"), 0, "").await;
            sleep(Duration::from_millis(30)).await;
            drop(stream);
        }
        // While a handler runs, others wait, or an answer is awaited.
        13 => {
            let mut socket = joined(address).await;
            for _ in 0..10 {
                socket.text(r#"42["slow"]"#).await;
            }
        }
        14 => joined(address).await.text(r#"42["ask"]"#).await,
        // With an unfinished message, an unfinished binary packet, an unread flood.
        15 => {
            let mut socket = joined(address).await;
            socket
                .0
                .write_all(&[0x81, 0xfe, 0x10, 0x00, 1, 2, 3])
                .await
                .unwrap();
        }
        16 => {
            let mut socket = joined(address).await;
            socket
                .text(r#"452-["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#)
                .await;
            socket.send(Opcode::Binary, b"x").await;
        }
        17 => {
            let mut socket = joined(address).await;
            socket.text(r#"42["flood"]"#).await;
            sleep(Duration::from_millis(20)).await;
        }
        // In the middle of goodbyes.
        18 => joined(address).await.text(r#"42["out"]"#).await,
        19 => {
            let mut socket = joined(address).await;
            socket.text("41").await;
            socket.text("40").await;
            socket.send(Opcode::Close, &[]).await;
        }
        // Sits there without a word until the server has had enough.
        20 => {
            let mut socket = joined(address).await;
            while socket.receive().await != Frame::End {}
        }
        _ => {
            let mut socket = websocket(address, "").await;
            while socket.receive().await != Frame::End {}
        }
    }
}

const STAGES: usize = 22;

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(PATIENCE, waiting).await.is_ok(), "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_left_of_clients_that_vanish() {
    let server = serve(1).await;
    for stage in 0..STAGES {
        let lives = (0..8).map(|_| tokio::spawn(live(server.address, stage)));
        for life in lives.collect::<Vec<_>>() {
            life.await.unwrap();
        }
        until(&format!("the sessions of stage {stage} have ended"), || {
            server.engine.clients_count() == 0
        })
        .await;
        let drained = timeout(PATIENCE, server.engine.drained()).await;
        assert!(drained.is_ok(), "the tasks of stage {stage} have ended");
        assert_eq!(server.namespace.len(), 0, "stage {stage}");
        assert!(server.namespace.rooms().is_empty(), "stage {stage}");
    }
    let entered = server.handler.entered.load(Ordering::SeqCst);
    assert_eq!(server.handler.left.load(Ordering::SeqCst), entered);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_left_of_a_crowd_that_vanishes_at_once() {
    let server = serve(8).await;
    let lives = (0..STAGES * 12).map(|at| tokio::spawn(live(server.address, at % STAGES)));
    for life in lives.collect::<Vec<_>>() {
        life.await.unwrap();
    }
    until("all sessions have ended", || server.engine.clients_count() == 0).await;
    assert!(timeout(PATIENCE, server.engine.drained()).await.is_ok());
    assert_eq!((server.namespace.len(), server.namespace.rooms().len()), (0, 0));
    let entered = server.handler.entered.load(Ordering::SeqCst);
    assert_eq!(server.handler.left.load(Ordering::SeqCst), entered);
}
