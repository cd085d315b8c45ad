//! Handshake messages that are cut off by nonsense: rustls has then kept places in what came before.

use std::sync::Arc;

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
