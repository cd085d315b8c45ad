//! Polling through script tags: what is answered to requests with the parameter `j`.

use crate::support::{POLLING, TestServer};
use gatewire_proto::engineio::CloseReason;
use gatewire_server::{Cors, EngineConfig};

/// Scripts have no `Origin`: those of these tests are of any page.
fn config() -> EngineConfig {
    EngineConfig {
        cors: Some(Cors::any()),
        ..EngineConfig::default()
    }
}

/// The string in `___eio[index]("…");`.
fn argument(script: &str, index: &str) -> String {
    let argument = script
        .strip_prefix(&format!("___eio[{index}]("))
        .and_then(|rest| rest.strip_suffix(");"));
    serde_json::from_str(argument.unwrap_or_else(|| panic!("no script: {script}"))).unwrap()
}

#[tokio::test]
async fn payloads_are_the_arguments_of_a_function() {
    let server = TestServer::start(config()).await;
    let (head, script) = server.exchange("GET", &format!("{POLLING}&j=0"), "", b"").await;
    assert!(
        head.to_ascii_lowercase()
            .contains("content-type: text/plain; charset=utf-8"),
        "{head}"
    );
    let open = argument(std::str::from_utf8(&script).unwrap(), "0");
    let sid = crate::support::sid_of(&open);
    let target = format!("{POLLING}&j=0&sid={sid}");
    let form = b"d=4a%5Cnb%E2%80%A8%1EbAQID%1E4c%5C%5Cn";
    assert_eq!(
        server.request("POST", &target, form).await,
        (200, "ok".to_owned())
    );
    let (status, script) = server.request("GET", &target, b"").await;
    assert_eq!(status, 200);
    assert!(
        script.contains("\\u2028") && !script.contains('\u{2028}'),
        "{script}"
    );
    assert_eq!(argument(&script, "0"), "4a\nb\u{2028}\u{1e}bAQID\u{1e}4c\\n");
}

#[tokio::test]
async fn nothing_but_digits_gets_into_the_script() {
    let server = TestServer::start(config()).await;
    let target = format!("{POLLING}&j=1%5D(0)%3Balert(2)%2F%2F3");
    let (status, script) = server.request("GET", &target, b"").await;
    assert_eq!(status, 200);
    assert!(argument(&script, "1023").starts_with("0{"), "{script}");
    let target = format!("{POLLING}&j=0&sid=%3Cscript%3E");
    let unknown = r#"{"code":1,"message":"Session ID unknown"}"#.to_owned();
    assert_eq!(server.request("GET", &target, b"").await, (400, unknown));
}

#[tokio::test]
async fn a_form_without_a_payload_ends_the_session() {
    for form in [&b""[..], b"x=1", b"d=", b"d=abc", b"4hello"] {
        let mut server = TestServer::start(config()).await;
        let target = format!("{POLLING}&j=0&sid={}", server.open_polling().await);
        assert_eq!(
            server.request("POST", &target, form).await,
            (200, "ok".to_owned())
        );
        assert_eq!(server.closed().await, CloseReason::ParseError, "{form:?}");
    }
}

#[tokio::test]
async fn old_clients_get_bytes_as_base64() {
    let server = TestServer::start(EngineConfig {
        allow_eio3: true,
        ..config()
    })
    .await;
    let target = "/socket.io/?EIO=3&transport=polling&j=2";
    let (_, script) = server.request("GET", target, b"").await;
    let open = argument(&script, "2");
    let target = format!("{target}&sid={}", crate::support::sid_of(&open));
    let posted = server
        .request("POST", &target, b"d=10:b4AQIDBA%3D%3D3:4%C3%A9%C3%A9")
        .await;
    assert_eq!(posted, (200, "ok".to_owned()));
    let (_, script) = server.request("GET", &target, b"").await;
    assert_eq!(argument(&script, "2"), "10:b4AQIDBA==3:4éé");
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let server = TestServer::start(EngineConfig {
        allow_jsonp: false,
        ..config()
    })
    .await;
    let (status, open) = server.request("GET", &format!("{POLLING}&j=0"), b"").await;
    assert_eq!(status, 200);
    assert!(open.starts_with("0{"), "{open}");
}
