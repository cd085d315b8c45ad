//! Certificates that are renewed while connections are open.

use std::sync::Arc;
use std::time::Duration;

use gatewire_server::rustls::ALL_VERSIONS;
use gatewire_server::{Tls, TlsError};
use tokio::time::{sleep, timeout};

use crate::support::{Authority, Folder, PATIENCE, Server, shown};

#[tokio::test]
async fn a_new_certificate_is_for_new_handshakes() {
    let authority = Authority::new();
    let folder = Folder::new();
    let (first, key) = authority.issue();
    let tls = Tls::from_pem_files(folder.write("cert.pem", &first), folder.write("key.pem", &key))
        .unwrap()
        .reload_interval(Duration::from_millis(20));
    let server = Server::start(tls).await;
    let client = || Arc::new(authority.client(ALL_VERSIONS));
    let mut before = server.websocket(&client()).await;
    let old = shown(&before.0);

    // The two do not change at once: between them they are no pair, and the old ones go on.
    let (second, key) = authority.issue();
    folder.write("cert.pem", &second);
    assert_eq!(shown(&server.connect(&client()).await.unwrap()), old);
    folder.write("key.pem", &key);
    let renewed = async {
        while shown(&server.connect(&client()).await.unwrap()) == old {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, renewed).await.expect("a new certificate");

    before.text("as if nothing had been").await;
    assert_eq!(before.receive_text().await, "as if nothing had been");
    let mut after = server.websocket(&client()).await;
    after.text("new").await;
    assert_eq!(after.receive_text().await, "new");
}

#[tokio::test]
async fn a_broken_file_changes_nothing() {
    let authority = Authority::new();
    let folder = Folder::new();
    let (certificate, key) = authority.issue();
    let path = folder.write("cert.pem", &certificate);
    let tls = Tls::from_pem_files(&path, folder.write("key.pem", &key)).unwrap();
    let server = Server::start(tls.clone()).await;
    let client = Arc::new(authority.client(ALL_VERSIONS));
    assert_eq!(tls.reload(), Ok(false));

    let file = path.display().to_string();
    folder.write("cert.pem", "half of a fi");
    assert_eq!(tls.reload(), Err(TlsError::NoCertificate { file: file.clone() }));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Read { .. })));
    folder.write("cert.pem", &authority.issue().0);
    assert!(matches!(tls.reload(), Err(TlsError::Mismatch { .. })));
    assert!(server.connect(&client).await.is_ok());

    let (certificate, key) = authority.issue();
    folder.write("cert.pem", &certificate);
    folder.write("key.pem", &key);
    assert_eq!(tls.reload(), Ok(true));
    assert!(server.connect(&client).await.is_ok());
}

#[tokio::test]
async fn authorities_of_clients_are_renewed_too() {
    let (authority, old, new) = (Authority::new(), Authority::new(), Authority::new());
    let folder = Folder::new();
    let (certificate, key) = authority.issue();
    let tls = Tls::from_pem(certificate, key)
        .unwrap()
        .require_client_certificates(folder.write("ca.pem", &old.pem()))
        .unwrap();
    let server = Server::start(tls.clone()).await;
    let client = Arc::new(authority.client_with_certificate(&old));
    let mut socket = server.websocket(&client).await;
    socket.text("hello").await;
    assert_eq!(socket.receive_text().await, "hello");

    folder.write("ca.pem", &new.pem());
    assert_eq!(tls.reload(), Ok(true));
    // Not even with the session that it has kept.
    if let Ok(mut stream) = server.connect(&client).await {
        assert!(tokio::io::AsyncReadExt::read_u8(&mut stream).await.is_err());
    }
}
