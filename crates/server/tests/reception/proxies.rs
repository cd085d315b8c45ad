//! Whom the server sees behind proxies.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gatewire_server::rustls::pki_types::ServerName;
use gatewire_server::rustls::{self, ClientConfig, RootCertStore};
use gatewire_server::{ClientLimiter, ClientLimits, ProxyProtocol, Reception, Tls, TrustedProxies};
use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::support::{ENGINE, PATIENCE, Socket, get, get_behind, request, serve, unlimited};

fn loopback() -> TrustedProxies {
    TrustedProxies::new(["loopback"]).unwrap()
}

async fn trusting(proxies: TrustedProxies) -> SocketAddr {
    serve(Reception::new().trust_proxies(proxies), None).await
}

const V1: &[u8] = b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n";

/// Version 2, for the same client, by TLS.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x14\xcb\x00\x71\x07\x7f\x00\x00\x01\x12\x67\x00\x50\
    \x20\x00\x05\x01\x00\x00\x00\x00";

const FORWARDED: &str = "X-Forwarded-For: 6.6.6.6, 203.0.113.7\r\nX-Forwarded-Proto: https\r\n";

#[tokio::test]
async fn headers_are_believed_of_trusted_proxies_alone() {
    let address = trusting(loopback()).await;
    assert_eq!(get(address, "/whoami", FORWARDED).await.1, "203.0.113.7:0 true");
    let (_socket, seen) = Socket::socketio(address, FORWARDED).await;
    assert_eq!(seen, "203.0.113.7");
    for untrusted in [
        trusting(TrustedProxies::new(["10.0.0.0/8"]).unwrap()).await,
        serve(Reception::new(), None).await,
    ] {
        let (_, seen) = get(untrusted, "/whoami", FORWARDED).await;
        assert!(
            seen.starts_with("127.0.0.1:") && seen.ends_with(" false"),
            "{seen}"
        );
        let (_socket, seen) = Socket::socketio(untrusted, FORWARDED).await;
        assert_eq!(seen, "127.0.0.1");
    }
}

#[tokio::test]
async fn the_proxy_protocol_says_whom_a_connection_is_for() {
    let address = trusting(loopback().proxy_protocol()).await;
    assert_eq!(
        get_behind(address, V1, "/whoami", "").await.1,
        "203.0.113.7:4711 false"
    );
    assert_eq!(
        get_behind(address, V2, "/whoami", "").await.1,
        "203.0.113.7:4711 true"
    );
    // The client is no proxy: what it says of others is its own invention.
    assert_eq!(
        get_behind(address, V1, "/whoami", FORWARDED).await.1,
        "203.0.113.7:4711 false"
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(V2).await.unwrap();
    let socket = Socket::open_on(stream, ENGINE, "")
        .await
        .unwrap_or_else(|head| panic!("{head}"));
    assert_eq!(socket.join().await.1, "203.0.113.7");
    // Its own health checks.
    for header in [&b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"[..], b"PROXY UNKNOWN\r\n"] {
        let (_, seen) = get_behind(address, header, "/whoami", "").await;
        assert!(seen.starts_with("127.0.0.1:"), "{seen}");
    }
}

#[tokio::test]
async fn a_header_may_come_in_pieces() {
    let address = trusting(loopback().proxy_protocol()).await;
    for header in [V1, V2] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        for byte in header {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        let (_, seen) = request(&mut stream, "/whoami", "").await;
        assert!(seen.starts_with("203.0.113.7:4711"), "{seen}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_without_a_header_is_not_served() {
    let address = trusting(loopback().proxy_protocol()).await;
    for before in [
        &b""[..],
        b"PROXY TCP4 203.0.113.7 127.0.0.1 4711\r\n",
        b"PROXY TCP4 ::1 ::1 1 1\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x0c",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
    ] {
        assert_eq!(
            get_behind(address, before, "/whoami", "").await.0,
            "",
            "{before:?}"
        );
    }
}

#[tokio::test]
async fn a_header_that_does_not_come_is_not_waited_for() {
    let bounds = ProxyProtocol {
        timeout: Duration::from_millis(100),
        ..ProxyProtocol::default()
    };
    let address = trusting(loopback().proxy_protocol_with(bounds)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&V1[..20]).await.unwrap();
    let start = Instant::now();
    let end = timeout(PATIENCE, stream.read(&mut [0; 8])).await.expect("an end");
    assert!(end.is_err() || end.is_ok_and(|read| read == 0));
    assert!(start.elapsed() >= Duration::from_millis(95));
}

#[tokio::test]
async fn others_are_served_as_they_are_and_cannot_announce_anybody() {
    let address = trusting(TrustedProxies::new(["192.0.2.1"]).unwrap().proxy_protocol()).await;
    let (_, seen) = get(address, "/whoami", "").await;
    assert!(seen.starts_with("127.0.0.1:"), "{seen}");
    let (head, _) = get_behind(address, V1, "/whoami", "").await;
    assert!(head.starts_with("http/1.1 400"), "{head}");
}

#[tokio::test]
async fn the_header_comes_before_tls() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let tls = Tls::from_pem(certificate.pem(), key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let reception = Reception::new().trust_proxies(loopback().proxy_protocol());
    let address = serve(reception, Some(tls)).await;
    let connector = TlsConnector::from(Arc::new(config));
    let name = || ServerName::try_from("localhost").unwrap();
    for header in [V1, V2] {
        let mut tcp = TcpStream::connect(address).await.unwrap();
        tcp.write_all(header).await.unwrap();
        let mut stream = connector.connect(name(), tcp).await.unwrap();
        let (_, seen) = request(&mut stream, "/whoami", "").await;
        assert_eq!(seen, "203.0.113.7:4711 true");
    }
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(V1).await.unwrap();
    let stream = connector.connect(name(), tcp).await.unwrap();
    let socket = Socket::open_on(stream, ENGINE, "")
        .await
        .unwrap_or_else(|head| panic!("{head}"));
    assert_eq!(socket.join().await.1, "203.0.113.7");
    // Without one, the first record of TLS is none.
    let tcp = TcpStream::connect(address).await.unwrap();
    assert!(connector.connect(name(), tcp).await.is_err());
}

#[tokio::test]
async fn who_is_announced_has_limits_of_its_own() {
    let limiter = ClientLimiter::new(ClientLimits {
        max_http_connections: 1,
        ..unlimited()
    });
    let proxies = loopback().proxy_protocol();
    let reception = Reception::new().trust_proxies(proxies).limit_clients(limiter);
    let address = serve(reception, None).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(V1).await.unwrap();
    first
        .write_all(b"GET /whoami HTTP/1.1\r\nHost: test\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(first.read_u8().await.unwrap(), b'H');
    let (head, _) = get_behind(address, V2, "/whoami", "").await;
    assert!(head.is_empty() || head.starts_with("http/1.1 429"), "{head}");
    let other = b"PROXY TCP4 203.0.113.8 127.0.0.1 1 80\r\n";
    assert!(
        get_behind(address, other, "/whoami", "")
            .await
            .0
            .starts_with("http/1.1 200")
    );
}
