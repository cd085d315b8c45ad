//! Whose pages get in: the same rule on polling, by script tags and on WebSockets.

use gatewire_hub::Handshake;
use gatewire_proto::engineio::CloseReason;
use gatewire_server::{
    Application, ConfigError, Connection, Cors, Engine, EngineConfig, Origin, Rejected, Session,
    WebSocketConfig, WebSocketServer,
};
use std::sync::Arc;
use std::task::Context;

use crate::support::{POLLING, TestServer};

const FORBIDDEN: &str = r#"{"code":4,"message":"pages of this Origin may not connect: the server's `cors` option names those that may"}"#;
/// The host that the tests ask for is `test`.
const OWN: &str = "Origin: https://test\r\n";
const FRIEND: &str = "Origin: https://friend.example\r\n";
const STRANGER: &str = "Origin: https://evil.example\r\n";
const OPAQUE: &str = "Origin: null\r\n";

fn status(head: &str) -> u16 {
    head[9..12].parse().unwrap()
}

async fn server(cors: Option<Cors>) -> TestServer {
    TestServer::start(EngineConfig {
        cors,
        ..EngineConfig::default()
    })
    .await
}

#[tokio::test]
async fn polling_and_websockets_have_one_rule() {
    let friends = Some(Cors::origins(["https://friend.example"]));
    let reflect = Some(Cors {
        origin: Origin::Reflect,
        ..Cors::default()
    });
    for (cors, headers, is_open) in [
        (None, "", true),
        (None, OWN, true),
        (None, FRIEND, false),
        (None, OPAQUE, false),
        (friends.clone(), "", true),
        (friends.clone(), OWN, true),
        (friends.clone(), FRIEND, true),
        (friends.clone(), STRANGER, false),
        (friends, OPAQUE, false),
        (Some(Cors::any()), STRANGER, true),
        (Some(Cors::any()), OPAQUE, true),
        (reflect, STRANGER, true),
    ] {
        let what = format!("{cors:?} {headers}");
        let server = server(cors).await;
        let (head, body) = server.exchange("GET", POLLING, headers, b"").await;
        assert_eq!(status(&head), if is_open { 200 } else { 403 }, "{what}");
        if !is_open {
            assert_eq!(String::from_utf8(body).unwrap(), FORBIDDEN);
            assert!(
                !head.to_ascii_lowercase().contains("access-control-allow-origin"),
                "{head}"
            );
        }
        let (_, head) = server.websocket_with("", headers).await;
        assert_eq!(status(&head), if is_open { 101 } else { 403 }, "{what}");
    }
}

#[tokio::test]
async fn every_request_of_a_session_is_asked() {
    let server = server(None).await;
    let sid = server.open_polling().await;
    let target = format!("{POLLING}&sid={sid}");
    for method in ["GET", "POST"] {
        let (head, _) = server.exchange(method, &target, STRANGER, b"4hello").await;
        assert_eq!(status(&head), 403, "{method}");
    }
    let (_, head) = server.websocket_with(&format!("&sid={sid}"), STRANGER).await;
    assert_eq!(status(&head), 403);
    let (head, _) = server.exchange("POST", &target, OWN, b"4hello").await;
    assert_eq!(status(&head), 200, "the session lives");
    let (_, head) = server.websocket_with(&format!("&sid={sid}"), OWN).await;
    assert_eq!(status(&head), 101);
}

/// What is wrong with a request is told before whose page it comes from, as the Node server does.
#[tokio::test]
async fn requests_that_are_none_are_told_so() {
    let server = server(None).await;
    let (head, body) = server.exchange("GET", "/socket.io/?EIO=4", STRANGER, b"").await;
    assert_eq!(status(&head), 400);
    assert_eq!(
        String::from_utf8(body).unwrap(),
        r#"{"code":0,"message":"Transport unknown"}"#
    );
}

/// A script is read by whichever page holds it, and carries the id of the session.
#[tokio::test]
async fn scripts_are_for_pages_that_are_known() {
    let target = format!("{POLLING}&j=0");
    let own = "Referer: https://test/page\r\n";
    let other = "Referer: https://evil.example/page\r\n";
    for (cors, headers, expected) in [
        (None, own, 200),
        (None, other, 403),
        (None, "", 403),
        (Some(Cors::any()), other, 200),
        (Some(Cors::any()), "", 200),
    ] {
        let server = server(cors).await;
        let (head, body) = server.exchange("GET", &target, headers, b"").await;
        assert_eq!(status(&head), expected, "{headers}");
        let body = String::from_utf8(body).unwrap();
        assert_eq!(body.starts_with("___eio[0]("), expected == 200, "{body}");
    }
}

struct Silent;

impl Application for Silent {
    fn open(&self, _: Connection, _: Arc<Handshake>) -> Box<dyn Session> {
        Box::new(Self)
    }
}

impl Session for Silent {
    fn receive_text(&mut self, _: &str, _: &mut Context<'_>) -> Result<(), Rejected> {
        Ok(())
    }

    fn receive_binary(&mut self, _: &[u8], _: &mut Context<'_>) -> Result<(), Rejected> {
        Ok(())
    }

    fn close(&mut self, _: CloseReason) {}
}

#[test]
fn what_no_browser_sends_is_no_origin() {
    for origin in ["*", "app.example", "https://app.example/"] {
        let expected = ConfigError::Origin {
            origin: origin.to_owned(),
        };
        let cors = Cors::origins(["https://fine.example", origin]);
        let config = WebSocketConfig {
            origin: Some(cors.origin.clone()),
            ..WebSocketConfig::default()
        };
        assert_eq!(WebSocketServer::new(config, Silent).err(), Some(expected.clone()));
        let config = EngineConfig {
            cors: Some(cors),
            ..EngineConfig::default()
        };
        assert_eq!(Engine::new(config, Silent).err(), Some(expected));
    }
}
