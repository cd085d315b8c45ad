//! Connections and requests of one address.

use std::time::Duration;

use gatewire_server::{ClientLimits, Rate, Reception, TrustedProxies};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::support::{ENGINE, PATIENCE, POLLING, Socket, get, limited, request, serve, unlimited};

fn is_refused(head: &str) -> bool {
    head.starts_with("http/1.1 429") && head.contains("retry-after: ")
}

#[tokio::test]
async fn sessions_of_every_kind_are_counted_together_and_refused_with_429() {
    let address = limited(ClientLimits {
        max_connections: 3,
        ..unlimited()
    })
    .await;
    let (socketio, _) = Socket::socketio(address, "").await;
    let plain = Socket::open(address, "/ws")
        .await
        .unwrap_or_else(|head| panic!("{head}"));
    let (polling, body) = get(address, POLLING, "Origin: https://a.example\r\n").await;
    assert!(polling.starts_with("http/1.1 200"), "{polling} {body}");

    let refused = Socket::open(address, ENGINE).await.err().unwrap();
    assert!(is_refused(&refused), "{refused}");
    let refused = Socket::open(address, "/ws").await.err().unwrap();
    assert!(is_refused(&refused), "{refused}");
    let (refused, words) = get(address, POLLING, "Origin: https://a.example\r\n").await;
    assert!(is_refused(&refused), "{refused}");
    // Pages may read it.
    assert!(refused.contains("access-control-allow-origin: "), "{refused}");
    assert_eq!(words, "too many from this address: connections");
    let (refused, _) = get(address, "/events", "").await;
    assert!(refused.starts_with("http/1.1 429"), "{refused}");

    drop(plain);
    let again = async {
        while Socket::open(address, "/ws").await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, again).await.expect("a place that was given up");
    drop(socketio);
}

#[tokio::test]
async fn a_handshake_that_is_refused_for_something_else_keeps_no_place() {
    let address = limited(ClientLimits {
        max_connections: 1,
        ..unlimited()
    })
    .await;
    for _ in 0..5 {
        let (head, _) = get(address, "/socket.io/?EIO=3&transport=polling", "").await;
        assert!(head.starts_with("http/1.1 400"), "{head}");
        let (head, _) = get(address, "/ws", "").await;
        assert!(head.starts_with("http/1.1 4"), "{head}");
    }
    assert!(Socket::open(address, ENGINE).await.is_ok());
}

#[tokio::test]
async fn sessions_may_not_be_opened_too_fast() {
    let address = limited(ClientLimits {
        connections: Some(Rate::new(2, Duration::from_secs(600))),
        ..unlimited()
    })
    .await;
    for _ in 0..2 {
        assert!(Socket::open(address, ENGINE).await.is_ok());
    }
    let refused = Socket::open(address, "/ws").await.err().unwrap();
    assert!(refused.contains("retry-after: 300\r\n"), "{refused}");
    // What is no handshake is still answered.
    assert!(get(address, "/whoami", "").await.0.starts_with("http/1.1 200"));
}

#[tokio::test]
async fn requests_of_any_kind_are_counted() {
    let address = limited(ClientLimits {
        requests: Some(Rate::new(3, Duration::from_secs(600))),
        ..unlimited()
    })
    .await;
    for target in ["/whoami", POLLING, "/nothing"] {
        assert!(
            !get(address, target, "").await.0.starts_with("http/1.1 429"),
            "{target}"
        );
    }
    let (refused, _) = get(address, "/whoami", "").await;
    assert!(refused.contains("retry-after: 200\r\n"), "{refused}");
    assert!(is_refused(&get(address, POLLING, "").await.0));
}

#[tokio::test]
async fn a_connection_above_the_limit_is_closed_before_it_says_anything() {
    let address = limited(ClientLimits {
        max_http_connections: 2,
        ..unlimited()
    })
    .await;
    let silent = [
        TcpStream::connect(address).await.unwrap(),
        TcpStream::connect(address).await.unwrap(),
    ];
    let mut third = TcpStream::connect(address).await.unwrap();
    let mut told = Vec::new();
    let reading = tokio::io::AsyncReadExt::read_to_end(&mut third, &mut told);
    timeout(PATIENCE, reading).await.expect("an end").unwrap();
    assert!(is_refused(&String::from_utf8(told).unwrap().to_lowercase()));
    drop(silent);
    let again = async {
        while !get(address, "/whoami", "").await.0.starts_with("http/1.1 200") {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, again).await.expect("a place that was given up");
}

#[tokio::test]
async fn a_connection_that_became_a_websocket_is_no_http_connection() {
    let address = limited(ClientLimits {
        max_http_connections: 1,
        ..unlimited()
    })
    .await;
    let mut sockets = Vec::new();
    for _ in 0..5 {
        let open = async {
            loop {
                let stream = TcpStream::connect(address).await.unwrap();
                if let Ok(Ok(socket)) = tokio::spawn(Socket::open_on(stream, "/ws", "")).await {
                    return socket;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        sockets.push(timeout(PATIENCE, open).await.expect("a WebSocket"));
    }
}

#[tokio::test]
async fn each_client_behind_a_trusted_proxy_has_limits_of_its_own() {
    let limiter = gatewire_server::ClientLimiter::new(ClientLimits {
        max_connections: 1,
        // The proxy's own connections are not counted.
        max_http_connections: 0,
        ..unlimited()
    });
    let proxies = TrustedProxies::new(["loopback"]).unwrap();
    let reception = Reception::new()
        .trust_proxies(proxies)
        .limit_clients(limiter.clone());
    let address = serve(reception, None).await;
    let (_first, seen) = Socket::socketio(address, "X-Forwarded-For: 203.0.113.7\r\n").await;
    assert_eq!(seen, "203.0.113.7");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (refused, _) = request(&mut stream, POLLING, "X-Forwarded-For: 6.6.6.6, 203.0.113.7\r\n").await;
    assert!(is_refused(&refused), "{refused}");
    let (_second, seen) = Socket::socketio(address, "X-Forwarded-For: 2001:db8::7\r\n").await;
    assert_eq!(seen, "2001:db8::7");
    assert_eq!(limiter.addresses(), 2);
}
