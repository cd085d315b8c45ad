//! What leaves in one segment, and what a client may send in one: the beginning and the end of a WebSocket.

use std::time::Duration;

use crate::support::{Frame, TestServer, TestSocket};
use gatewire_proto::websocket::{Opcode, put_masked_frame};
use gatewire_server::EngineConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const HANDSHAKE: &str = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\n\
     Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const PATIENCE: Duration = Duration::from_secs(10);

/// One read, which takes what there is.
async fn read_once(stream: &mut TcpStream) -> String {
    let mut buffer = vec![0; 4096];
    let read = timeout(PATIENCE, stream.read(&mut buffer)).await;
    buffer.truncate(read.expect("bytes").unwrap());
    String::from_utf8_lossy(&buffer).into_owned()
}

#[tokio::test]
async fn the_101_leaves_with_the_open_packet() {
    let server = TestServer::start(EngineConfig::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    let answer = read_once(&mut stream).await;
    let (head, frame) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    assert!(frame.contains("0{\"sid\":"), "{frame:?}");
}

#[tokio::test]
async fn frames_behind_the_handshake_are_received() {
    let server = TestServer::start(EngineConfig::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // The request comes in two parts, and the first message with its end.
    let (begin, rest) = HANDSHAKE.split_at(60);
    stream.write_all(begin.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(30)).await;
    let mut rest = rest.as_bytes().to_vec();
    put_masked_frame(&mut rest, true, Opcode::Text, [1, 2, 3, 4], b"4early");
    stream.write_all(&rest).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
    }
    let mut socket = TestSocket(stream);
    socket.opened().await;
    assert_eq!(socket.receive().await, Frame::Text("4early".to_owned()));
}

#[tokio::test]
async fn the_answer_to_a_close_frame_comes_before_the_end() {
    let server = TestServer::start(EngineConfig::default()).await;
    for code in [1000_u16, 1001, 4000] {
        let mut socket = server.websocket("").await;
        socket.opened().await;
        socket.text("4last").await;
        socket.send(Opcode::Close, &code.to_be_bytes()).await;
        assert_eq!(socket.receive().await, Frame::Text("4last".to_owned()));
        assert_eq!(socket.receive().await, Frame::Close(code));
        assert_eq!(socket.receive().await, Frame::End);
    }
}
