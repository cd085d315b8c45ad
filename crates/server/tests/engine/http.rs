//! The HTTP side of an engine, asked in memory: CORS, cookie, compression, hooks.

use std::sync::{Arc, Mutex};

use crate::support::{POLLING, TestServer, sid_of};
use ::http::{HeaderMap, HeaderValue, Request, Response};
use bytes::Bytes;
use gatewire_hub::Id;
use gatewire_proto::engineio::HandshakeError;
use gatewire_server::{Body, Cookie, Cors, EngineConfig, Hooks, Origin};
use http_body_util::BodyExt;

async fn ask(server: &TestServer, method: &str, target: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server
        .engine
        .handle(request.body(Body::default()).unwrap(), None)
        .await
}

async fn body_of(response: Response<Body>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

async fn post(server: &TestServer, target: &str, body: &str) {
    let request = Request::post(target)
        .body(Body::new(body.to_owned().into()))
        .unwrap();
    assert_eq!(server.engine.handle(request, None).await.status(), 200);
}

fn text(response: &Response<Body>, name: &str) -> String {
    response
        .headers()
        .get(name)
        .map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn no_cors_header_goes_out_by_default() {
    let server = TestServer::start(EngineConfig::default()).await;
    let own = [("host", "a.example"), ("origin", "https://a.example")];
    let response = ask(&server, "GET", POLLING, &own).await;
    assert_eq!(response.status(), 200);
    assert!(
        response
            .headers()
            .keys()
            .all(|name| !name.as_str().starts_with("access-control"))
    );
}

#[tokio::test]
async fn cors_headers_stand_on_answers_refusals_and_preflights() {
    let cors = Cors {
        origin: Origin::List(vec!["https://a.example".to_owned()]),
        credentials: true,
        ..Cors::default()
    };
    let config = EngineConfig {
        cors: Some(cors),
        ..EngineConfig::default()
    };
    let server = TestServer::start(config).await;
    let origin = [("origin", "https://a.example")];
    for (method, target, status) in [
        ("GET", POLLING, 200),
        ("GET", "/socket.io/?EIO=4", 400),
        ("OPTIONS", POLLING, 204),
    ] {
        let response = ask(&server, method, target, &origin).await;
        assert_eq!(response.status(), status, "{method} {target}");
        assert_eq!(
            text(&response, "access-control-allow-origin"),
            "https://a.example"
        );
        assert_eq!(text(&response, "access-control-allow-credentials"), "true");
        assert_eq!(text(&response, "vary"), "Origin");
    }
}

#[tokio::test]
async fn the_cookie_is_set_by_the_polling_handshake_alone() {
    let config = EngineConfig {
        cookie: Some(Cookie::default()),
        ..EngineConfig::default()
    };
    let server = TestServer::start(config).await;
    let response = ask(&server, "GET", POLLING, &[]).await;
    let cookie = text(&response, "set-cookie");
    let sid = sid_of(std::str::from_utf8(&body_of(response).await).unwrap());
    assert_eq!(cookie, format!("io={sid}; Path=/; HttpOnly; SameSite=Lax"));
    let target = format!("{POLLING}&sid={sid}");
    post(&server, &target, "4hello").await;
    assert_eq!(text(&ask(&server, "GET", &target, &[]).await, "set-cookie"), "");
}

#[tokio::test]
async fn a_long_answer_is_compressed_for_who_accepts_it() {
    let server = TestServer::start(EngineConfig::default()).await;
    let long = "x".repeat(2_000);
    for (accepted, message, encoding) in [
        ("gzip", &*long, "gzip"),
        ("deflate", &*long, "deflate"),
        ("br", &*long, ""),
        ("gzip", "short", ""),
    ] {
        let target = format!("{POLLING}&sid={}", server.open_polling().await);
        post(&server, &target, &format!("4{message}")).await;
        let response = ask(&server, "GET", &target, &[("accept-encoding", accepted)]).await;
        assert_eq!(
            text(&response, "content-encoding"),
            encoding,
            "{accepted} {}",
            message.len()
        );
        let length = text(&response, "content-length");
        assert_eq!(length, body_of(response).await.len().to_string());
    }
}

#[tokio::test]
async fn a_handshake_can_be_refused_with_a_reason() {
    let refused = Arc::new(Mutex::new(Vec::new()));
    let log = refused.clone();
    let hooks = Hooks::new()
        .allow_request(|parts| {
            let query = parts.uri.query().unwrap_or_default().to_owned();
            async move {
                match query {
                    query if query.contains("deny=why") => Err("because".to_owned()),
                    query if query.contains("deny") => Err(String::new()),
                    _ => Ok(()),
                }
            }
        })
        .connection_error(move |error, _| {
            log.lock()
                .unwrap()
                .push((error.code(), error.message().to_owned()))
        });
    let server = TestServer::with_hooks(EngineConfig::default(), hooks).await;
    for (query, body) in [
        ("&deny=why", r#"{"code":4,"message":"because"}"#),
        ("&deny", r#"{"code":4,"message":"Forbidden"}"#),
    ] {
        let response = ask(&server, "GET", &format!("{POLLING}{query}"), &[]).await;
        assert_eq!(response.status(), 403);
        assert_eq!(body_of(response).await, body);
    }
    // It is asked before the version is looked at.
    for (query, status) in [("&deny=why", 403), ("", 400)] {
        let target = format!("/socket.io/?EIO=5&transport=polling{query}");
        assert_eq!(ask(&server, "GET", &target, &[]).await.status(), status);
    }
    let upgrade = [("upgrade", "websocket"), ("connection", "upgrade")];
    let target = "/socket.io/?EIO=4&transport=websocket&deny=why";
    let response = ask(&server, "GET", target, &upgrade).await;
    assert_eq!(
        (response.status().as_u16(), text(&response, "connection").as_str()),
        (400, "close")
    );
    assert_eq!(body_of(response).await, "because");
    assert_eq!(ask(&server, "GET", POLLING, &[]).await.status(), 200);
    let refused = refused.lock().unwrap();
    assert_eq!(
        refused.iter().map(|(code, _)| *code).collect::<Vec<_>>(),
        [4, 4, 4, 5, 4]
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_bad_request_is_told_to_the_hook() {
    const SID: &str = "AAAAAAAAAAAAAAAAAAAA";
    let refused = Arc::new(Mutex::new(Vec::new()));
    let log = refused.clone();
    let hooks = Hooks::new()
        .generate_id(|_| Id::parse(SID))
        .connection_error(move |error, _| {
            let HandshakeError::BadRequest(cause) = error else {
                panic!("{error:?}");
            };
            log.lock().unwrap().push(cause.name());
        });
    let config = EngineConfig {
        allow_eio3: true,
        ..EngineConfig::default()
    };
    let server = TestServer::with_hooks(config, hooks).await;
    assert_eq!(ask(&server, "GET", POLLING, &[]).await.status(), 200);
    let upgrade = [("upgrade", "websocket"), ("connection", "upgrade")];
    let sid = format!("&sid={SID}");
    let table = [
        ("EIO=4&transport=polling", "", false, "ID_GENERATION_ERROR"),
        (
            "EIO=4&transport=websocket",
            "",
            false,
            "TRANSPORT_HANDSHAKE_ERROR",
        ),
        ("EIO=4&transport=polling", "", true, "TRANSPORT_HANDSHAKE_ERROR"),
        ("EIO=4&transport=polling", &sid, true, "TRANSPORT_HANDSHAKE_ERROR"),
        ("EIO=4&transport=websocket", &sid, false, "TRANSPORT_MISMATCH"),
        ("EIO=3&transport=polling", &sid, false, "PROTOCOL_MISMATCH"),
    ];
    for (query, sid, is_upgrade, cause) in table {
        let headers: &[_] = if is_upgrade { &upgrade } else { &[] };
        let response = ask(&server, "GET", &format!("/socket.io/?{query}{sid}"), headers).await;
        assert_eq!(response.status(), 400, "{query}{sid}");
        assert_eq!(refused.lock().unwrap().pop(), Some(cause), "{query}{sid}");
    }
}

#[tokio::test]
async fn headers_are_changed_once_or_always() {
    let add = |name: &'static str| {
        move |headers: &mut HeaderMap, _: &::http::request::Parts| {
            headers.append(name, HeaderValue::from_static("1"));
        }
    };
    let hooks = Hooks::new().initial_headers(add("x-first")).headers(add("x-all"));
    let server = TestServer::with_hooks(EngineConfig::default(), hooks).await;
    let response = ask(&server, "GET", POLLING, &[]).await;
    assert_eq!(
        (
            text(&response, "x-first").as_str(),
            text(&response, "x-all").as_str()
        ),
        ("1", "1")
    );
    let sid = sid_of(std::str::from_utf8(&body_of(response).await).unwrap());
    let target = format!("{POLLING}&sid={sid}");
    let message = Body::new("4hello".to_owned().into());
    let request = Request::post(&target).body(message).unwrap();
    let later = [
        server.engine.handle(request, None).await,
        ask(&server, "GET", &target, &[]).await,
    ];
    for response in later {
        assert_eq!(response.status(), 200);
        assert_eq!(
            (text(&response, "x-first"), text(&response, "x-all")),
            (String::new(), "1".to_owned())
        );
    }
    let response = ask(&server, "GET", "/socket.io/", &[]).await;
    assert_eq!(text(&response, "x-all"), "", "a refusal is left as it is");
}

#[tokio::test]
async fn ids_are_the_applications_own_if_it_wants() {
    let names = [
        "first-session-000000",
        "first-session-000000",
        "another-session-0000",
        "no id",
    ];
    let next = Arc::new(Mutex::new(names.into_iter()));
    let refused = Arc::new(Mutex::new(0));
    let count = refused.clone();
    let hooks = Hooks::new()
        .generate_id(move |_| Id::parse(next.lock().unwrap().next()?))
        .connection_error(move |error, _| {
            assert_eq!(error.code(), 3);
            *count.lock().unwrap() += 1;
        });
    let server = TestServer::with_hooks(EngineConfig::default(), hooks).await;
    assert_eq!(server.open_polling().await, names[0]);
    let bad_request = r#"{"code":3,"message":"Bad request"}"#;
    // One that is taken, one that is new, and none.
    let response = ask(&server, "GET", POLLING, &[]).await;
    assert_eq!(response.status(), 400);
    assert_eq!(body_of(response).await, bad_request);
    assert_eq!(server.websocket("").await.opened().await, names[2]);
    let response = ask(&server, "GET", POLLING, &[]).await;
    assert_eq!(body_of(response).await, bad_request);
    assert_eq!(*refused.lock().unwrap(), 2);
    assert_eq!(server.engine.clients_count(), 2);
    // The first one is untouched.
    let target = format!("{POLLING}&sid={}", names[0]);
    post(&server, &target, "4hello").await;
    assert_eq!(body_of(ask(&server, "GET", &target, &[]).await).await, "4hello");
}
