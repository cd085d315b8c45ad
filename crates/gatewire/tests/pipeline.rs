//! The stages of the pipeline: their order at three scopes, what each may change, and what the client gets.

#[path = "support/log.rs"]
mod log;
mod support;

use std::sync::Mutex;

use gatewire::prelude::*;
use log::Log;
use support::{Peer, ask};

/// Notes the guard, interceptor and filter of one scope.
macro_rules! scope {
    ($guard:ident, $interceptor:ident, $filter:ident, $error:ty, $name:literal) => {
        #[injectable]
        struct $guard {
            log: Arc<Log>,
        }

        impl Guard for $guard {
            async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
                tokio::task::yield_now().await;
                self.log
                    .note(format!("{} guard: {}", $name, context.handler()));
                Ok(true)
            }
        }

        #[injectable]
        struct $interceptor {
            log: Arc<Log>,
        }

        impl Interceptor for $interceptor {
            async fn intercept(
                &self,
                _context: &ExecutionContext,
                next: Next<'_>,
            ) -> Result<Answer, Exception> {
                self.log.note(format!("{} before", $name));
                let answer = next.handle().await;
                let end = if answer.is_ok() { "after" } else { "failed" };
                self.log.note(format!("{} {end}", $name));
                answer
            }
        }

        #[injectable]
        struct $filter {
            log: Arc<Log>,
        }

        impl ExceptionFilter for $filter {
            type Error = $error;

            async fn catch(&self, error: $error, _context: &ExecutionContext) -> Result<Answer, WsException> {
                self.log.note(format!("{} filter", $name));
                let error = WsException::from(error);
                Err(WsException::new(format!("{error} ({})", $name)))
            }
        }
    };
}

#[derive(Debug)]
struct Odd(u32);

impl From<Odd> for WsException {
    fn from(Odd(number): Odd) -> Self {
        Self::new(format!("{number} is odd"))
    }
}

struct Small;

impl From<Small> for WsException {
    fn from(_: Small) -> Self {
        "too small".into()
    }
}

scope!(AppGuard, AppInterceptor, AppFilter, WsException, "app");
scope!(GatewayGuard, GatewayInterceptor, GatewayFilter, Small, "gateway");
scope!(HandlerGuard, HandlerInterceptor, HandlerFilter, Odd, "handler");

struct Noted(String);

impl FromMessage for Noted {
    type Rejection = WsException;

    fn from_message(message: &MessageContext<'_>) -> Result<Self, WsException> {
        let text: String = message.event().body().map_err(|_| "a text, please")?;
        Ok(Self(text))
    }
}

#[use_guards(GatewayGuard)]
#[websocket_gateway]
#[use_interceptors(GatewayInterceptor)]
struct Gateway {
    #[websocket_server]
    server: Server,
    log: Arc<Log>,
}

#[subscriptions]
#[use_filters(GatewayFilter)]
impl Gateway {
    #[subscribe_message("text")]
    #[use_guards(HandlerGuard)]
    #[use_interceptors(HandlerInterceptor)]
    async fn text(&self, Noted(text): Noted) -> String {
        tokio::task::yield_now().await;
        self.log.note("handler");
        text
    }

    #[use_filters(HandlerFilter)]
    #[subscribe_message("odd")]
    fn odd(&self, MessageBody(number): MessageBody<u32>) -> Result<u32, Odd> {
        if number % 2 == 1 {
            Err(Odd(number))
        } else {
            Ok(number)
        }
    }

    #[use_filters(HandlerFilter)]
    #[subscribe_message("small")]
    async fn small(&self) -> Result<(), Small> {
        Err(Small)
    }
}

#[module(providers = [Log, Gateway, AppGuard, AppInterceptor, AppFilter])]
struct Module;

async fn app() -> (Arc<Log>, Peer) {
    let mut app = App::create::<Module>().without_logger().await.unwrap();
    app.use_global_guards(app.get::<AppGuard>());
    app.use_global_interceptors(app.get::<AppInterceptor>());
    app.use_global_filters(app.get::<AppFilter>());
    let log = app.get::<Log>();
    let mut peer = Peer::new(&app.get::<Gateway>().server);
    let sent = ask(&mut peer, "0", 1).await;
    assert!(sent[0].starts_with(r#"0{"sid""#), "{sent:?}");
    let asked = log.take();
    assert_eq!(
        asked,
        ["app guard: handle_connection", "gateway guard: handle_connection"]
    );
    (log, peer)
}

#[tokio::test]
async fn stages_run_in_nests_order() {
    let (log, mut peer) = app().await;
    assert_eq!(ask(&mut peer, r#"21["text","hi"]"#, 1).await, [r#"31["hi"]"#]);
    assert_eq!(
        log.take(),
        [
            "app guard: text",
            "gateway guard: text",
            "handler guard: text",
            "app before",
            "gateway before",
            "handler before",
            "handler",
            "handler after",
            "gateway after",
            "app after",
        ]
    );

    // An extractor's rejection comes after the guards, inside of the interceptors.
    let rejected =
        r#"{"status":"error","message":"a text, please (app)","cause":{"pattern":"text","data":7}}"#;
    assert_eq!(
        ask(&mut peer, r#"22["text",7]"#, 2).await,
        [format!(r#"2["exception",{rejected}]"#), format!("32[{rejected}]")]
    );
    assert_eq!(
        log.take()[6..],
        ["handler failed", "gateway failed", "app failed", "app filter"]
    );
}

#[tokio::test]
async fn the_nearest_filter_of_the_type_catches() {
    let (log, mut peer) = app().await;
    for (packet, answer, filter) in [
        (r#"23["odd",3]"#, "3 is odd (handler)", "handler filter"),
        (r#"24["small"]"#, "too small (gateway)", "gateway filter"),
        (
            r#"25["odd","x"]"#,
            "Invalid message body: invalid type: string \"x\", expected u32 (app)",
            "app filter",
        ),
    ] {
        let sent = ask(&mut peer, packet, 2).await;
        let object: serde_json::Value = serde_json::from_str(&sent[0][1..]).unwrap();
        assert_eq!(object[1]["message"], answer);
        assert!(sent[1].starts_with(&format!("3{}[", &packet[1..2])), "{sent:?}");
        assert_eq!(log.take().last().unwrap(), filter);
    }
    assert_eq!(ask(&mut peer, r#"26["odd",4]"#, 1).await, ["36[4]"]);
}

/// Everything that an application without filters may answer wrongly.
mod failures {
    use super::*;

    #[injectable]
    struct No;

    impl Guard for No {
        async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
            assert_ne!(context.pattern(), "guard-panics", "secret");
            Ok(context.is_connection())
        }
    }

    #[injectable]
    struct Panics;

    impl Interceptor for Panics {
        async fn intercept(&self, _: &ExecutionContext, next: Next<'_>) -> Result<Answer, Exception> {
            let _ = next.handle().await;
            panic!("secret")
        }
    }

    impl ExceptionFilter for Panics {
        type Error = WsException;

        async fn catch(&self, _: WsException, _: &ExecutionContext) -> Result<Answer, WsException> {
            panic!("secret")
        }
    }

    #[websocket_gateway]
    pub(super) struct Gateway {
        #[websocket_server]
        pub(super) server: Server,
    }

    #[subscriptions]
    impl Gateway {
        #[subscribe_message("forbidden")]
        #[use_guards(No)]
        async fn forbidden(&self) {}

        #[subscribe_message("guard-panics")]
        #[use_guards(No)]
        async fn guard_panics(&self) {}

        #[subscribe_message("interceptor-panics")]
        #[use_interceptors(Panics)]
        async fn interceptor_panics(&self) {}

        #[subscribe_message("filter-panics")]
        #[use_filters(Panics)]
        async fn filter_panics(&self) -> Result<(), &'static str> {
            Err("no")
        }

        #[subscribe_message("handler-panics")]
        async fn handler_panics(&self) {
            tokio::task::yield_now().await;
            panic!("secret")
        }

        #[subscribe_message("handler-panics-inside")]
        #[use_interceptors(Timeout::after(std::time::Duration::from_secs(1)))]
        async fn handler_panics_inside(&self) {
            panic!("secret")
        }
    }

    #[module(providers = [Gateway])]
    pub(super) struct Module;
}

#[tokio::test]
async fn whatever_fails_is_answered_in_nests_words() {
    let long = "x".repeat(100);
    let bodies = [
        (String::new(), String::new()),
        (r#",{"k":1}"#.to_owned(), r#","data":{"k":1}"#.to_owned()),
    ]
    .into_iter()
    .chain([(r#",1,"b""#.to_owned(), r#","data":[1,"b"]"#.to_owned())])
    .chain([(format!(r#","{long}""#), format!(r#","data":"{long}""#))]);
    for (arguments, data) in bodies {
        for (event, message) in [
            ("forbidden", "Forbidden resource"),
            ("guard-panics", "Internal server error"),
            ("interceptor-panics", "Internal server error"),
            ("filter-panics", "Internal server error"),
            ("handler-panics", "Internal server error"),
            ("handler-panics-inside", "Internal server error"),
        ] {
            for include_cause in [true, false] {
                let mut app = App::create::<failures::Module>().without_logger().await.unwrap();
                app.include_cause(include_cause);
                let mut peer = Peer::joined(&app.get::<failures::Gateway>().server);
                let cause = match include_cause {
                    true => format!(r#","cause":{{"pattern":"{event}"{data}}}"#),
                    false => String::new(),
                };
                let object = format!(r#"{{"status":"error","message":"{message}"{cause}}}"#);
                let exception = format!(r#"2["exception",{object}]"#);
                let sent = ask(&mut peer, &format!(r#"27["{event}"{arguments}]"#), 2).await;
                assert_eq!(sent, [exception.clone(), format!("37[{object}]")]);
                let sent = ask(&mut peer, &format!(r#"2["{event}"{arguments}]"#), 1).await;
                assert_eq!(sent, [exception]);
            }
        }
    }
}

/// Interceptors that look at answers, change them, and give their own.
mod answers {
    use serde_json::Value;

    use super::*;

    #[injectable]
    struct Wrap;

    impl Interceptor for Wrap {
        async fn intercept(&self, _: &ExecutionContext, next: Next<'_>) -> Result<Answer, Exception> {
            let answer = next.handle().await?;
            if answer.data().is_none() {
                return Ok(answer);
            }
            Ok(answer.map(|data: Value| serde_json::json!({ "data": data }))?)
        }
    }

    /// Answers a second message with the same body in the handler's place.
    #[injectable]
    #[derive(Default)]
    pub(super) struct Cache(#[inject(default)] Mutex<std::collections::HashMap<String, Answer>>);

    impl Interceptor for Cache {
        async fn intercept(&self, context: &ExecutionContext, next: Next<'_>) -> Result<Answer, Exception> {
            let key: String = context.data()?;
            if let Some(known) = self.0.lock().unwrap().get(&key).cloned() {
                return Ok(known);
            }
            let answer = next.handle().await?;
            self.0.lock().unwrap().insert(key, answer.clone());
            Ok(answer)
        }
    }

    pub(super) struct Tag(pub(super) &'static str);

    /// Says which tags there are; the handler is not called.
    #[injectable]
    struct Tags;

    impl Interceptor for Tags {
        async fn intercept(&self, context: &ExecutionContext, _: Next<'_>) -> Result<Answer, Exception> {
            let all: Vec<_> = context.all_metadata().map(|Tag(name)| name).collect();
            assert_eq!(context.metadata().map(|Tag(name)| name), all.first().copied());
            Ok(Answer::value(&(context.gateway(), context.handler(), all))?)
        }
    }

    #[set_metadata(Tag("gateway"))]
    #[websocket_gateway]
    #[use_interceptors(Wrap)]
    pub(super) struct Gateway {
        #[websocket_server]
        pub(super) server: Server,
        log: Arc<Log>,
    }

    #[subscriptions]
    impl Gateway {
        #[subscribe_message("value")]
        fn value(&self) -> u8 {
            1
        }

        #[subscribe_message("nothing")]
        async fn nothing(&self) {}

        #[subscribe_message("event")]
        async fn event(&self) -> WsResponse<u8> {
            WsResponse::new("other", 1)
        }

        #[subscribe_message("by-hand")]
        async fn by_hand(&self, ack: Ack) -> u8 {
            ack.send(&2);
            1
        }

        #[subscribe_message("cached")]
        #[use_interceptors(Cache)]
        async fn cached(&self, MessageBody(key): MessageBody<String>) -> String {
            self.log.note(key.clone());
            key
        }

        #[subscribe_message("tags")]
        #[set_metadata(Tag("a"), Tag("b"))]
        #[use_interceptors(Tags)]
        fn tags(&self) {}

        #[subscribe_message("plain-tags")]
        #[use_interceptors(Tags)]
        fn plain_tags(&self) {}
    }

    #[module(providers = [Gateway, Log])]
    pub(super) struct Module;
}

#[tokio::test]
async fn interceptors_change_answers() {
    let app = App::create::<answers::Module>().without_logger().await.unwrap();
    let mut peer = Peer::joined(&app.get::<answers::Gateway>().server);
    for (packet, answers) in [
        (r#"21["value"]"#, &[r#"31[{"data":1}]"#] as &[_]),
        (r#"2["value"]"#, &[r#"2["value",{"data":1}]"#]),
        (r#"22["nothing"]"#, &["32[]"]),
        (r#"2["nothing"]"#, &[]),
        (r#"23["event"]"#, &[r#"2["other",{"data":1}]"#, "33[]"]),
        (r#"24["by-hand"]"#, &["34[2]"]),
        (r#"25["cached","x"]"#, &[r#"35[{"data":"x"}]"#]),
        (r#"26["cached","x"]"#, &[r#"36[{"data":"x"}]"#]),
        (
            r#"27["tags"]"#,
            &[r#"37[{"data":["Gateway","tags",["a","b","gateway"]]}]"#],
        ),
        (
            r#"28["plain-tags"]"#,
            &[r#"38[{"data":["Gateway","plain_tags",["gateway"]]}]"#],
        ),
    ] {
        assert_eq!(ask(&mut peer, packet, answers.len()).await, *answers, "{packet}");
    }
    assert_eq!(app.get::<Log>().take(), ["x"], "the handler was called once");
    assert!(
        app.try_get::<answers::Cache>().is_some(),
        "a class of an attribute is a provider"
    );
}

#[injectable]
struct Lost {
    _missing: Arc<Missing>,
}

struct Missing;

impl Guard for Lost {
    async fn can_activate(&self, _: &ExecutionContext) -> Result<bool, Exception> {
        Ok(true)
    }
}

#[websocket_gateway]
#[use_guards(Lost)]
struct Unbuilt;

#[module(providers = [Unbuilt])]
struct UnbuiltModule;

#[tokio::test]
async fn what_a_guard_needs_is_checked_at_start() {
    let error = App::create::<UnbuiltModule>()
        .without_logger()
        .await
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .contains("Lost (in UnbuiltModule) needs Missing for `_missing`"),
        "{error}"
    );
}
