//! Pages of other origins that use the visitor's cookies: cross-site WebSocket hijacking, and the same by polling and by
//! script tags. The rule itself is tested in `engine/origins.rs`.

use tokio::io::AsyncWriteExt;

use crate::support::read_head;
use crate::world::{World, status_of, upgrade};

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

#[tokio::test]
async fn cross_site_websocket_hijacking_is_refused() {
    let world = World::start().await;
    for origin in [
        "https://evil.example",
        "http://test.evil.example",
        "http://eviltest",
        "http://test:8080",
        "null",
        "file://",
    ] {
        let lines = format!("Origin: {origin}\r\nCookie: session=secret\r\n");
        let mut stream = world.connect().await;
        stream.write_all(upgrade("", &lines).as_bytes()).await.unwrap();
        let head = read_head(&mut stream).await;
        assert_eq!(status_of(&head), 403, "{origin}");
    }
    assert_eq!(world.engine.clients_count(), 0);
    let mut stream = world.connect().await;
    stream
        .write_all(upgrade("", "Origin: http://test\r\n").as_bytes())
        .await
        .unwrap();
    assert_eq!(status_of(&read_head(&mut stream).await), 101);
    world.serves().await;
}

#[tokio::test]
async fn a_foreign_page_cannot_poll_either() {
    let world = World::start().await;
    let session = world.polling().await;
    for (target, lines) in [
        (POLLING.to_owned(), "Origin: https://evil.example\r\n"),
        (session.clone(), "Origin: https://evil.example\r\n"),
        // A script tag sends no origin.
        (format!("{POLLING}&j=0"), "Referer: https://evil.example/page\r\n"),
        (format!("{POLLING}&j=0"), ""),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{lines}\r\n");
        let answer = world.answer_to(request).await;
        assert_eq!(status_of(&answer), 403, "{target} {lines}");
        assert!(
            !answer.to_ascii_lowercase().contains("access-control-allow"),
            "{answer}"
        );
        assert!(!answer.contains("\"sid\""), "{answer}");
    }
    world.serves().await;
}
