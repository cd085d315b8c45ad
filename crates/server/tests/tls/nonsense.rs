//! Records that make no sense, where rustls has kept something of those before: places in the begin of a message, or that
//! it has said its last word.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gatewire_proto::engineio::CloseReason;
use gatewire_server::Tls;
use gatewire_server::rustls::crypto::cipher::{OutboundChunks, OutboundPlainMessage};
use gatewire_server::rustls::{
    ALL_VERSIONS, ClientConnection, ConnectionTrafficSecrets, ContentType, ProtocolVersion,
    SupportedCipherSuite,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::support::{Authority, PATIENCE, Server};

#[tokio::test]
async fn a_hello_without_an_end_is_a_failed_handshake() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue();
    let tls = Tls::from_pem(certificate, key).unwrap();
    let server = Server::start(tls.clone()).await;
    let mut tcp = server.tcp().await;
    // The first record of a ClientHello of 16 MiB.
    let mut record = vec![0x16, 3, 1, 0x3e, 0x80, 1, 0xff, 0xff, 0xff];
    record.resize(5 + 16_000, 0);
    tcp.write_all(&record).await.unwrap();
    let mut rest = Vec::new();
    let read = timeout(PATIENCE, tcp.read_to_end(&mut rest)).await;
    let _ = read.expect("an end");
    assert_eq!(tls.failed_handshakes(), 1);
}

/// A record of any kind, sealed with the keys of a client that says nothing more.
fn sealed(connection: ClientConnection, typ: ContentType, payload: &[u8]) -> Vec<u8> {
    let Some(SupportedCipherSuite::Tls13(suite)) = connection.negotiated_cipher_suite() else {
        panic!("TLS 1.3 was not agreed on");
    };
    let (sequence, secrets) = connection.dangerous_extract_secrets().unwrap().tx;
    let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
    | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
    | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets
    else {
        panic!("another cipher");
    };
    let message = OutboundPlainMessage {
        typ,
        version: ProtocolVersion::TLSv1_2,
        payload: OutboundChunks::Single(payload),
    };
    let mut encrypter = suite.aead_alg.encrypter(key, iv);
    encrypter.encrypt(message, sequence).unwrap().encode()
}

#[tokio::test]
async fn an_open_connection_ends_alone() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue();
    let mut server = Server::start(Tls::from_pem(certificate, key).unwrap()).await;
    let mut client = authority.client(ALL_VERSIONS);
    client.enable_secret_extraction = true;
    let client = Arc::new(client);
    let mut other = server.websocket(&client).await;
    let _opened = server.opened().await;

    let socket = server.websocket(&client).await;
    let _opened = server.opened().await;
    let (mut tcp, connection) = socket.0.into_inner();
    // The begin of a key update of 4 KiB, and then no record of anybody's.
    let begin = sealed(connection, ContentType::Handshake, b"\x18\0\x10\0begin");
    tcp.write_all(&begin).await.unwrap();
    tcp.write_all(&[0x17, 3, 3, 0, 32]).await.unwrap();
    tcp.write_all(&[7; 32]).await.unwrap();
    assert_eq!(server.closed().await, CloseReason::TransportError);
    let mut rest = Vec::new();
    let read = timeout(PATIENCE, tcp.read_to_end(&mut rest)).await;
    let _ = read.expect("an end");

    other.text("still here").await;
    assert_eq!(other.receive_text().await, "still here");
}

#[tokio::test]
async fn nothing_is_looked_at_behind_the_last_word() {
    static HAS_PANICKED: AtomicBool = AtomicBool::new(false);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        HAS_PANICKED.store(true, Ordering::Relaxed);
        before(panic);
    }));
    let authority = Authority::new();
    let (certificate, key) = authority.issue();
    let mut server = Server::start(Tls::from_pem(certificate, key).unwrap()).await;
    let client = Arc::new(authority.client(ALL_VERSIONS));
    let mut stream = server.connect(&client).await.unwrap();
    let head = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let _opened = server.opened().await;
    // A frame without a mask: the server says what is wrong, and that nothing more comes.
    stream.write_all(b"\x81\x01a").await.unwrap();
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest))
        .await
        .expect("an end")
        .unwrap();
    assert!(rest.ends_with(b"\x88\x02\x03\xea"));
    let (mut tcp, _) = stream.into_inner();
    tcp.write_all(&[0x17, 3, 3, 0, 32]).await.unwrap();
    tcp.write_all(&[7; 32]).await.unwrap();
    tcp.shutdown().await.unwrap();
    let gone = async {
        while server.engine.clients_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.expect("an end");
    assert!(!HAS_PANICKED.load(Ordering::Relaxed));
}
