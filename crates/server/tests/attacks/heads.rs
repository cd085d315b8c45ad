//! What stands in the head of a request: too much of it, line ends where there must be none, and lengths that contradict
//! each other.

use gatewire_hub::HubConfig;
use gatewire_server::{Cookie, Cors, EngineConfig, ListenerConfig};
use tokio::io::AsyncWriteExt;

use crate::support::read_head;
use crate::world::{World, all_of, status_of, upgrade};

const TARGET: &str = "/socket.io/?EIO=4&transport=polling";

fn get(lines: &str) -> String {
    format!("GET {TARGET} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{lines}\r\n")
}

#[tokio::test]
async fn a_huge_head_is_refused_and_not_kept() {
    let world = World::start().await;
    for lines in [
        format!("X-Long: {}\r\n", "a".repeat(16 << 10)),
        format!("X-Long: {}\r\n", "a".repeat(1 << 20)),
        format!("Cookie: {}\r\n", "a=b; ".repeat(8 << 10)),
        "X-Many: 1\r\n".repeat(200),
    ] {
        let answer = world.answer_to(get(&lines)).await;
        assert_eq!(status_of(&answer), 431, "{}", &lines[..20]);
    }
    assert_eq!(world.engine.clients_count(), 0);
    world.serves().await;
}

#[tokio::test]
async fn how_long_a_head_may_be_is_an_option() {
    let listener = ListenerConfig {
        max_head: 64 << 10,
        ..ListenerConfig::default()
    };
    let world = World::with(EngineConfig::default(), HubConfig::default(), listener).await;
    let long = get(&format!("X-Long: {}\r\n", "a".repeat(32 << 10)));
    assert_eq!(status_of(&world.answer_to(long).await), 200);
    let longer = get(&format!("X-Long: {}\r\n", "a".repeat(128 << 10)));
    assert_eq!(status_of(&world.answer_to(longer).await), 431);
}

#[tokio::test]
async fn line_ends_cannot_be_injected() {
    let config = EngineConfig {
        cors: Some(Cors::origins(["https://a.example"]).with_credentials()),
        cookie: Some(Cookie::default()),
        ..EngineConfig::default()
    };
    let world = World::with(config, HubConfig::default(), ListenerConfig::default()).await;
    for lines in [
        "Origin: https://a.example%0d%0aX-Evil: 1\r\n",
        "Origin: https://a.example\rX-Evil: 1\r\n",
        "Origin: https://a.example\nX-Evil: 1\r\n",
        "Origin: https://a.example\r\n X-Evil: 1\r\n",
        "Origin: https://a.example\0X-Evil: 1\r\n",
        "Access-Control-Request-Headers: a\rX-Evil: 1\r\n",
        "X-Forwarded-For: 1\rX-Evil: 1\r\n",
        "Cookie: io=a\rX-Evil: 1\r\n",
    ] {
        for request in [
            get(lines),
            get(lines).replace("GET", "OPTIONS"),
            upgrade("", lines),
        ] {
            let mut stream = world.connect().await;
            stream.write_all(request.as_bytes()).await.unwrap();
            let head = read_head(&mut stream).await;
            let evil = head
                .lines()
                .any(|line| line.to_ascii_lowercase().starts_with("x-evil"));
            assert!(!evil && !head.contains('\0'), "{lines:?}: {head}");
        }
    }
    // In the query, whose values come back in answers.
    for query in [
        "&j=0%0d%0aX-Evil:%201",
        "&sid=%0d%0aX-Evil:%201",
        "&b64=%0d%0aX-Evil:%201",
    ] {
        let head = format!("GET {TARGET}{query} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        let answer = world.answer_to(head).await;
        let (head, _) = answer.split_once("\r\n\r\n").unwrap();
        assert!(!head.to_ascii_lowercase().contains("evil"), "{query}: {head}");
    }
    world.serves().await;
}

/// One of those that the client offers comes back in the answer, if it is a token, and else none.
#[tokio::test]
async fn a_subprotocol_is_a_token() {
    let world = World::start().await;
    for offered in ["a b", "a;b", "a\tb", "a\"b", "a/b", "\u{e9}", "a,,b", "a:b"] {
        let mut stream = world.connect().await;
        let request = upgrade("", &format!("Sec-WebSocket-Protocol: {offered}\r\n"));
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = read_head(&mut stream).await.to_ascii_lowercase();
        let answer = head
            .lines()
            .find_map(|line| line.strip_prefix("sec-websocket-protocol: "));
        let is_token = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        assert!(answer.is_none_or(is_token), "{offered}: {head}");
    }
    world.serves().await;
}

/// Two readers that see other ends of a request are what request smuggling lives on.
#[tokio::test]
async fn a_request_has_one_length() {
    let world = World::start().await;
    let polling = world.polling().await;
    let hidden = format!("GET {TARGET} HTTP/1.1\r\nHost: test\r\n\r\n");
    for lines in [
        "Content-Length: 5\r\nContent-Length: 6\r\n".to_owned(),
        "Content-Length: +5\r\n".to_owned(),
        "Content-Length: 0x5\r\n".to_owned(),
        "Content-Length: 5, 6\r\n".to_owned(),
        "Content-Length: -1\r\n".to_owned(),
        "Transfer-Encoding: identity\r\n".to_owned(),
        "Transfer-Encoding: chunked, identity\r\n".to_owned(),
        "Content-Length : 5\r\n".to_owned(),
    ] {
        let before = world.engine.clients_count();
        let request = format!("POST {polling} HTTP/1.1\r\nHost: test\r\n{lines}\r\n40\r\n\r\n{hidden}");
        let mut stream = world.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = all_of(&mut stream).await;
        assert_eq!(status_of(&answer), 400, "{lines}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{lines}: {answer}");
        assert_eq!(
            world.engine.clients_count(),
            before,
            "{lines}: what was hidden was answered"
        );
    }
    world.serves().await;
}

/// With both, the chunks count (RFC 9112 §6.3), and the connection is closed behind them.
#[tokio::test]
async fn chunks_count_more_than_a_length() {
    let world = World::start().await;
    let polling = world.polling().await;
    let hidden = format!("GET {TARGET} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    let before = world.engine.clients_count();
    let answer = world
        .answer_to(format!(
            "POST {polling} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\
             Connection: close\r\n\r\n2\r\n40\r\n0\r\n\r\n{hidden}",
            12 + hidden.len()
        ))
        .await;
    assert!(matches!(status_of(&answer), 200 | 400), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    assert_eq!(world.engine.clients_count(), before);
    world.serves().await;
}
