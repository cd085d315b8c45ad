//! Gateways behind TLS: on the application's port, and on their own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::Duration;

use gatewire::prelude::*;
use gatewire::rustls::pki_types::ServerName;
use gatewire::rustls::{ClientConfig, RootCertStore, crypto};
use gatewire::{Error, TlsError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Longer than anything a test waits for; only a failing test gets there.
const PATIENCE: Duration = Duration::from_secs(20);

#[websocket_gateway]
struct Shared;

#[subscriptions]
impl Shared {
    #[subscribe_message("secure")]
    async fn secure(&self, Handshake(handshake): Handshake) -> bool {
        handshake.is_secure()
    }
}

/// Free when it was asked for; the gateway takes it again.
static PORT: LazyLock<u16> = LazyLock::new(|| {
    let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    free.local_addr().unwrap().port()
});

#[websocket_gateway(port = *PORT)]
struct Own;

#[subscriptions]
impl Own {
    #[subscribe_message("secure")]
    async fn secure(&self, Handshake(handshake): Handshake) -> bool {
        handshake.is_secure()
    }
}

#[module(providers = [Shared, Own])]
struct AppModule;

/// A certificate of its own authority for `localhost`, its key, and a client that trusts it.
fn identity() -> (String, String, Arc<ClientConfig>) {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(issued.cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (
        issued.cert.pem(),
        issued.signing_key.serialize_pem(),
        Arc::new(client),
    )
}

/// Asks the gateway by one POST of a polling session whether its handshake was secure.
async fn is_secure(address: SocketAddr, client: &Arc<ClientConfig>) -> String {
    let name = ServerName::try_from("localhost").unwrap();
    let tcp = TcpStream::connect(address).await.unwrap();
    let mut stream = TlsConnector::from(client.clone())
        .connect(name, tcp)
        .await
        .unwrap();
    let open = exchange(&mut stream, "GET", "", "").await;
    let sid = format!("&sid={}", open.split('"').nth(3).unwrap());
    exchange(&mut stream, "POST", &sid, "40").await;
    exchange(&mut stream, "GET", &sid, "").await;
    exchange(&mut stream, "POST", &sid, r#"420["secure"]"#).await;
    exchange(&mut stream, "GET", &sid, "").await
}

async fn exchange(
    stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin),
    method: &str,
    query: &str,
    body: &str,
) -> String {
    let request = format!(
        "{method} /socket.io/?EIO=4&transport=polling{query} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(
            timeout(PATIENCE, stream.read_u8())
                .await
                .expect("an answer")
                .unwrap(),
        );
    }
    let head = String::from_utf8(answer).unwrap().to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap();
    let mut body = vec![0; length.split('\r').next().unwrap().parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    String::from_utf8(body).unwrap()
}

#[tokio::test]
async fn every_port_speaks_tls() {
    let (certificate, key, client) = identity();
    let mut app = App::create::<AppModule>().without_logger().await.unwrap();
    app.use_tls(Tls::from_pem(certificate, key).unwrap());
    let bound = app.bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    assert!(bound.is_secure());
    let (address, handle) = (bound.local_addr(), bound.handle());
    let served = tokio::spawn(bound.serve_with_shutdown(std::future::pending()));
    let own = SocketAddr::from((Ipv4Addr::LOCALHOST, *PORT));
    for address in [address, own] {
        assert_eq!(is_secure(address, &client).await, r#"430[true]"#);
    }
    handle.close().await;
    served.await.unwrap();
}

#[test]
fn what_is_wrong_with_a_certificate_is_an_error_of_the_application() {
    let fault = Tls::from_pem("", "").unwrap_err();
    let told = Error::from(fault.clone());
    assert_eq!(told, Error::Tls(fault));
    assert!(matches!(told, Error::Tls(TlsError::NoCertificate { .. })));
    assert!(told.to_string().starts_with("the application cannot start: "));
}
