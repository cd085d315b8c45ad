//! Handshakes: what is agreed on, who is refused, and what is counted.

use std::sync::Arc;
use std::time::Duration;

use gatewire_server::rustls::{self, ALL_VERSIONS, HandshakeKind, ProtocolVersion};
use gatewire_server::{Limits, ListenerConfig, Tls, TlsError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::support::{Authority, Folder, PATIENCE, Server, read_head};

fn tls(authority: &Authority) -> Tls {
    let (certificate, key) = authority.issue();
    Tls::from_pem(certificate, key).unwrap()
}

#[tokio::test]
async fn both_versions_are_spoken_and_the_handshake_is_secure() {
    let authority = Authority::new();
    let mut server = Server::start(tls(&authority)).await;
    for (version, number) in [
        (&rustls::version::TLS13, ProtocolVersion::TLSv1_3),
        (&rustls::version::TLS12, ProtocolVersion::TLSv1_2),
    ] {
        let client = Arc::new(authority.client(&[version]));
        let mut socket = server.websocket(&client).await;
        assert_eq!(socket.0.get_ref().1.protocol_version(), Some(number));
        assert!(server.opened().await.handshake.is_secure());
        socket.text("over TLS").await;
        assert_eq!(socket.receive_text().await, "over TLS");
    }
}

#[tokio::test]
async fn the_client_chooses_the_version_of_http() {
    let authority = Authority::new();
    let server = Server::start(tls(&authority)).await;
    for (offered, agreed) in [
        (vec!["h2", "http/1.1"], Some("h2")),
        (vec!["http/1.1"], Some("http/1.1")),
        (vec![], None),
    ] {
        let mut client = authority.client(ALL_VERSIONS);
        client.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = server.connect(&Arc::new(client)).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed.map(str::as_bytes));
    }
    let mut client = authority.client(ALL_VERSIONS);
    client.alpn_protocols = vec![b"smtp".to_vec()];
    assert!(server.connect(&Arc::new(client)).await.is_err());
}

#[tokio::test]
async fn who_comes_back_need_not_do_it_all_again() {
    let authority = Authority::new();
    let server = Server::start(tls(&authority)).await;
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let client = Arc::new(authority.client(&[version]));
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut socket = server.websocket(&client).await;
            socket.text("hello").await;
            assert_eq!(socket.receive_text().await, "hello");
            assert_eq!(socket.0.get_ref().1.handshake_kind(), Some(expected));
        }
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_given_up() {
    let authority = Authority::new();
    let tls = tls(&authority).handshake_timeout(Duration::from_millis(50));
    let server = Server::start(tls.clone()).await;
    let mut silent = server.tcp().await;
    let mut half = server.tcp().await;
    half.write_all(&[0x16, 3, 1, 2]).await.unwrap();
    for stream in [&mut silent, &mut half] {
        let read = timeout(PATIENCE, stream.read(&mut [0; 16]))
            .await
            .expect("an end");
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    assert_eq!(tls.failed_handshakes(), 2);
}

#[tokio::test]
async fn handshakes_under_way_are_bounded() {
    let authority = Authority::new();
    let tls = tls(&authority)
        .max_handshakes(1)
        .handshake_timeout(Duration::from_millis(300));
    let server = Server::start(tls.clone()).await;
    let mut first = server.tcp().await;
    first.write_all(&[0x16]).await.unwrap();
    // It waits until the first one is given up, and its own time is over by then, or nearly.
    let client = Arc::new(authority.client(ALL_VERSIONS));
    let _ = server.connect(&client).await;
    assert!(tls.failed_handshakes() >= 1);
    assert!(server.connect(&client).await.is_ok());
}

#[tokio::test]
async fn plain_http_is_told_what_is_spoken_here() {
    let authority = Authority::new();
    let tls = tls(&authority);
    let server = Server::start(tls.clone()).await;
    let mut stream = server.tcp().await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    let mut body = String::new();
    stream.read_to_string(&mut body).await.unwrap();
    assert!(body.contains("https://"), "{body}");
    assert!(
        head.contains(&format!("Content-Length: {}\r\n", body.len())),
        "{head}"
    );
    assert_eq!(tls.failed_handshakes(), 1);
}

#[tokio::test]
async fn garbage_and_strangers_harm_nobody_else() {
    let authority = Authority::new();
    let tls = tls(&authority);
    let server = Server::start(tls.clone()).await;
    let client = Arc::new(authority.client(ALL_VERSIONS));
    let mut socket = server.websocket(&client).await;

    let mut garbage = server.tcp().await;
    garbage.write_all(&[0; 600]).await.unwrap();
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, garbage.read_to_end(&mut rest))
        .await
        .expect("an end");
    // A client that does not trust the server says so, and goes.
    let stranger = Arc::new(Authority::new().client(ALL_VERSIONS));
    assert!(server.connect(&stranger).await.is_err());

    socket.text("still here").await;
    assert_eq!(socket.receive_text().await, "still here");
    assert!(tls.failed_handshakes() >= 1);
}

#[tokio::test]
async fn clients_can_be_asked_for_a_certificate() {
    let (authority, clients, others) = (Authority::new(), Authority::new(), Authority::new());
    let folder = Folder::new();
    let ca = folder.write("ca.pem", &clients.pem());
    let tls = tls(&authority).require_client_certificates(ca).unwrap();
    let mut server = Server::start(tls).await;

    let known = Arc::new(authority.client_with_certificate(&clients));
    let mut socket = server.websocket(&known).await;
    let _opened = server.opened().await;
    socket.text("it is me").await;
    assert_eq!(socket.receive_text().await, "it is me");

    for unknown in [
        authority.client_with_certificate(&others),
        authority.client(ALL_VERSIONS),
    ] {
        // With TLS 1.3 the client learns of it with the first thing it reads.
        if let Ok(mut stream) = server.connect(&Arc::new(unknown)).await {
            assert!(stream.read_u8().await.is_err());
        }
    }
}

#[tokio::test]
async fn a_connection_without_a_request_is_ended() {
    let authority = Authority::new();
    let config = ListenerConfig {
        header_timeout: Duration::from_millis(50),
        ..ListenerConfig::default()
    };
    let server = Server::with(tls(&authority), config, Limits::default()).await;
    for protocol in ["h2", "http/1.1"] {
        let mut client = authority.client(ALL_VERSIONS);
        client.alpn_protocols = vec![protocol.into()];
        let mut stream = server.connect(&Arc::new(client)).await.unwrap();
        let mut rest = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        let _ = read.expect("an end");
    }
}

#[test]
fn what_is_wrong_with_files_is_said() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue();
    let (_, other_key) = authority.issue();
    let error = |certificates: &str, key: &str| Tls::from_pem(certificates, key).unwrap_err();
    let text = "the text that was given".to_owned();
    assert_eq!(error("", &key), TlsError::NoCertificate { file: text.clone() });
    assert_eq!(
        error(&certificate, &certificate),
        TlsError::NoKey {
            file: text.clone(),
            is_encrypted: false
        }
    );
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert_eq!(
        error(&certificate, encrypted),
        TlsError::NoKey {
            file: text.clone(),
            is_encrypted: true
        }
    );
    assert_eq!(
        error(&certificate, &other_key),
        TlsError::Mismatch {
            certificates: text.clone(),
            key: text
        }
    );
    let cut = &certificate[..certificate.len() / 2];
    let cut = error(cut, &key);
    assert!(matches!(cut, TlsError::Malformed { .. }));
    assert!(
        cut.to_string().ends_with("a section CERTIFICATE has no end"),
        "{cut}"
    );
    let broken = error("-----BEGIN CERTIFICATE---\n", &key).to_string();
    assert!(broken.contains("`-----BEGIN CERTIFICATE---`"), "{broken}");
    let missing = Tls::from_pem_files("/nowhere/cert.pem", "/nowhere/key.pem").unwrap_err();
    assert!(
        missing
            .to_string()
            .starts_with("/nowhere/cert.pem cannot be read: "),
        "{missing}"
    );
}

/// To read it would take for ever.
#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_read() {
    let authority = Authority::new();
    let (_, key) = authority.issue();
    let folder = Folder::new();
    let key = folder.write("key.pem", &key);
    let [pipe, zeros, huge] = ["pipe", "zeros", "huge"].map(|name| folder.path(name));
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    std::os::unix::fs::symlink("/dev/zero", &zeros).unwrap();
    for certificates in [pipe, zeros, folder.path(".")] {
        let error = Tls::from_pem_files(certificates, &key).unwrap_err().to_string();
        assert!(error.ends_with("it is no regular file"), "{error}");
    }
    std::fs::File::create(&huge).unwrap().set_len(1 << 30).unwrap();
    let error = Tls::from_pem_files(huge, &key).unwrap_err().to_string();
    assert!(error.ends_with("it is longer than 16 MiB"), "{error}");
}
