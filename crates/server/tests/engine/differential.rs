//! Beside a server that is not ours: `tokio-tungstenite` echoes the same messages, cut in the same places, and both are to
//! answer alike; and its client sees our server as we mean it to.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use gatewire_proto::engineio::CloseReason;
use gatewire_proto::websocket::{Opcode, put_masked_frame};
use gatewire_server::{DeflateOptions, WebSocketConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

use crate::plain::{TestServer, handshake};
use crate::support::{Frame, TestSocket, read_head};

const PATIENCE: Duration = Duration::from_secs(10);

/// Numbers that look random, and are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn message(&mut self) -> (Opcode, Vec<u8>) {
        let length = [0, 1, 10, 125, 126, 300, 70_000][self.below(7)];
        if self.below(2) == 0 {
            let letters = ["a", "é", "✓", "🦀"];
            let text: String = (0..length).map(|_| letters[self.below(4)]).collect();
            (Opcode::Text, text.into_bytes())
        } else {
            (
                Opcode::Binary,
                (0..length).map(|_| self.below(256) as u8).collect(),
            )
        }
    }
}

/// What a client sends, as bytes: messages cut anywhere, with pings between the pieces, and at last a Close frame.
fn script(seed: u64) -> Vec<u8> {
    let mut numbers = Numbers(seed);
    let mut bytes = Vec::new();
    let put = |bytes: &mut Vec<u8>, fin, opcode, payload: &[u8]| {
        put_masked_frame(bytes, fin, opcode, [1, 2, 3, 4], payload);
    };
    for _ in 0..20 {
        let (opcode, message) = numbers.message();
        let (mut rest, mut opcode) = (&*message, opcode);
        while numbers.below(3) > 0 {
            let (piece, more) = rest.split_at(numbers.below(rest.len() + 1));
            put(&mut bytes, false, opcode, piece);
            (rest, opcode) = (more, Opcode::Continuation);
            if numbers.below(2) == 0 {
                put(&mut bytes, true, Opcode::Ping, b"between");
            }
        }
        put(&mut bytes, true, opcode, rest);
    }
    let code = [1000, 1001, 1003, 1011, 3000, 4999][numbers.below(6)];
    put(
        &mut bytes,
        true,
        Opcode::Close,
        &[&u16::to_be_bytes(code)[..], "é".as_bytes()].concat(),
    );
    bytes
}

/// What comes back: the messages, and the code of the Close frame. Pongs are counted apart, for one may answer several pings
/// (RFC 6455 §5.5.3).
async fn play(address: SocketAddr, script: &[u8]) -> (Vec<Frame>, usize) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(handshake("").as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    // Two handles of one connection: the answers may fill the buffers while the script is still being written.
    let reading = stream.into_std().unwrap();
    let mut writing = TcpStream::from_std(reading.try_clone().unwrap()).unwrap();
    let mut socket = TestSocket(TcpStream::from_std(reading).unwrap());
    let script = script.to_vec();
    tokio::spawn(async move { writing.write_all(&script).await });
    let (mut frames, mut pongs) = (Vec::new(), 0);
    loop {
        match timeout(PATIENCE, socket.receive()).await.expect("an answer") {
            Frame::Pong(_) => pongs += 1,
            Frame::End => return (frames, pongs),
            frame => frames.push(frame),
        }
    }
}

/// An echo by tungstenite.
async fn reference() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut socket = accept_async(stream).await.unwrap();
                while let Some(Ok(message)) = socket.next().await {
                    if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_servers_answer_alike() {
    let server = TestServer::start(WebSocketConfig::default()).await;
    let other = reference().await;
    for seed in 1..=25 {
        let script = script(seed * 7_919);
        let (ours, pongs) = play(server.address, &script).await;
        let (theirs, _) = play(other, &script).await;
        assert_eq!(ours, theirs, "seed {seed}");
        let pings = script
            .windows(6)
            .filter(|frame| frame[..2] == [0x89, 0x87] && frame[2..] == [1, 2, 3, 4]);
        assert_eq!(pongs, pings.count(), "each ping is answered, seed {seed}");
    }
}

async fn connect(address: SocketAddr) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    client_async(format!("ws://{address}/"), stream).await.unwrap().0
}

async fn next(client: &mut WebSocketStream<TcpStream>) -> Message {
    let message = timeout(PATIENCE, client.next()).await.expect("a message");
    message.expect("the stream goes on").unwrap()
}

/// Compression is switched on, and this client does not offer it.
fn config() -> WebSocketConfig {
    WebSocketConfig {
        per_message_deflate: Some(DeflateOptions::default()),
        ..WebSocketConfig::default()
    }
}

#[tokio::test]
async fn codes_and_reasons_are_seen_on_both_sides() {
    let mut server = TestServer::start(config()).await;
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 3000, 4999,
    ] {
        let mut client = connect(server.address).await;
        let frame = CloseFrame {
            code: code.into(),
            reason: "é and so on".into(),
        };
        client.close(Some(frame)).await.unwrap();
        let Message::Close(Some(echoed)) = next(&mut client).await else {
            panic!("no close")
        };
        assert_eq!(u16::from(echoed.code), code);
        let seen = Some((code, "é and so on".to_owned()));
        assert_eq!(server.end().await, (seen, CloseReason::TransportClose));
    }
    let mut client = connect(server.address).await;
    client.send(Message::text("close with")).await.unwrap();
    assert_eq!(next(&mut client).await, Message::text("before"));
    let Message::Close(Some(frame)) = next(&mut client).await else {
        panic!("no close")
    };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4001, "as asked"));
    assert!(timeout(PATIENCE, client.next()).await.expect("an end").is_none());
    assert_eq!(server.end().await, (None, CloseReason::ForcedClose));
}

#[tokio::test]
async fn a_flood_of_pings_is_answered_in_order() {
    let server = TestServer::start(config()).await;
    let (mut out, mut input) = connect(server.address).await.split();
    let flood = async {
        for number in 0..10_000_u32 {
            out.send(Message::Ping(number.to_be_bytes().to_vec().into()))
                .await
                .unwrap();
        }
        out.send(Message::text("behind them")).await.unwrap();
    };
    let answers = async {
        for number in 0..10_000_u32 {
            let pong = input.next().await.unwrap().unwrap();
            assert_eq!(pong, Message::Pong(number.to_be_bytes().to_vec().into()));
        }
        assert_eq!(input.next().await.unwrap().unwrap(), Message::text("behind them"));
    };
    timeout(PATIENCE, async { tokio::join!(flood, answers) })
        .await
        .expect("all of it");
}
