//! A plain client that has read its 101 is in its namespace: it has no other sign of that. So its session is there before
//! the answer is, and must end if that is another one.

use std::future::{pending, poll_fn};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use gatewire_hub::{DisconnectReason, Io, PlainFormat};
use gatewire_server::{Body, Listener, PlainSockets, WebSocketConfig, WebSocketServer};
use http::{Response, StatusCode};
use tokio::runtime::Builder;

const PATIENCE: Duration = Duration::from_secs(10);

/// How long whatever comes next on the server's thread has to wait.
const TURN: Duration = Duration::from_millis(3);

/// What becomes of the answer to a handshake, behind the server's back.
type Then = fn(&WebSocketServer, Response<Body>) -> Response<Body>;

/// A server on a thread of its own that is always busy: between two tasks there is time for a client to read and to act.
fn serve(io: &Io, then: Then) -> SocketAddr {
    let sockets = PlainSockets::new(io.clone(), "", PlainFormat::default());
    let server = WebSocketServer::new(WebSocketConfig::default(), sockets).unwrap();
    let (told, address) = mpsc::channel();
    std::thread::spawn(move || {
        // So that the queue, which is never empty, does not keep it from its sockets.
        let runtime = Builder::new_current_thread()
            .enable_all()
            .event_interval(1)
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = Listener::bind("127.0.0.1:0").await.unwrap();
            told.send(listener.local_addr().unwrap()).unwrap();
            tokio::spawn(poll_fn(|cx| {
                std::thread::sleep(TURN);
                cx.waker().wake_by_ref();
                Poll::<()>::Pending
            }));
            let answer = move |request, peer| {
                let server = server.clone();
                async move {
                    let response = server.handle::<hyper::body::Incoming>(request, Some(peer)).await;
                    then(&server, response)
                }
            };
            listener.serve(answer, pending()).await;
        });
    });
    address.recv().unwrap()
}

/// Asks for a WebSocket, and returns as soon as the head of the answer is there.
fn open(address: SocketAddr) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    (stream, String::from_utf8(head).unwrap())
}

#[test]
fn a_broadcast_after_the_101_reaches_the_client() {
    let io = Io::default();
    let namespace = io.of("/");
    let address = serve(&io, |_, response| response);
    for _ in 0..5 {
        let (mut client, head) = open(address);
        namespace.emit("news", &7);
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        let mut frame = [0; 27];
        client.read_exact(&mut frame).unwrap();
        assert_eq!(frame, *b"\x81\x19{\"event\":\"news\",\"data\":7}");
    }
}

#[test]
fn what_the_client_is_told_before_comes_behind_the_101() {
    let io = Io::default();
    io.of("/").on_connection(|socket| socket.emit("hello", &1));
    let address = serve(&io, |server, response| {
        server.close();
        response
    });
    let (mut client, head) = open(address);
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    let mut frames = [0; 28 + 4];
    client.read_exact(&mut frames).unwrap();
    assert_eq!(
        frames,
        *b"\x81\x1a{\"event\":\"hello\",\"data\":1}\x88\x02\x03\xe9"
    );
}

#[test]
fn who_gets_no_101_leaves_again() {
    let io = Io::default();
    let (told, left) = mpsc::channel();
    io.of("/").on_connection(move |socket| {
        let told = told.clone();
        socket.on_disconnect(move |_, reason| told.send(reason).unwrap());
    });
    let address = serve(&io, |_, _| {
        let mut response = Response::new(Body::default());
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response
    });
    let (client, head) = open(address);
    assert!(head.starts_with("HTTP/1.1 418"), "{head}");
    drop(client);
    assert_eq!(left.recv_timeout(PATIENCE), Ok(DisconnectReason::TransportClose));
}
