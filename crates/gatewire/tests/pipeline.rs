//! The stages of the pipeline: their order at three scopes, what each may change, and what the client gets.

mod support;

use std::sync::Mutex;

use gatewire::prelude::*;
use support::Peer;

/// What ran, in order; injected into every stage.
#[injectable]
struct Journal(#[inject(default)] Mutex<Vec<String>>);

impl Journal {
    fn note(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Notes the guard, interceptor and filter of one scope.
macro_rules! scope {
    ($guard:ident, $interceptor:ident, $filter:ident, $error:ty, $name:literal) => {
        #[injectable]
        struct $guard {
            journal: Arc<Journal>,
        }

        impl Guard for $guard {
            async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
                tokio::task::yield_now().await;
                self.journal
                    .note(format!("{} guard: {}", $name, context.handler()));
                Ok(true)
            }
        }

        #[injectable]
        struct $interceptor {
            journal: Arc<Journal>,
        }

        impl Interceptor for $interceptor {
            async fn intercept(
                &self,
                _context: &ExecutionContext,
                next: Next<'_>,
            ) -> Result<Answer, Exception> {
                self.journal.note(format!("{} before", $name));
                let answer = next.handle().await;
                let end = if answer.is_ok() { "after" } else { "failed" };
                self.journal.note(format!("{} {end}", $name));
                answer
            }
        }

        #[injectable]
        struct $filter {
            journal: Arc<Journal>,
        }

        impl ExceptionFilter for $filter {
            type Error = $error;

            async fn catch(&self, error: $error, _context: &ExecutionContext) -> Result<Answer, WsException> {
                self.journal.note(format!("{} filter", $name));
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
    journal: Arc<Journal>,
}

#[subscriptions]
#[use_filters(GatewayFilter)]
impl Gateway {
    #[subscribe_message("text")]
    #[use_guards(HandlerGuard)]
    #[use_interceptors(HandlerInterceptor)]
    async fn text(&self, Noted(text): Noted) -> String {
        tokio::task::yield_now().await;
        self.journal.note("handler");
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

#[module(providers = [Journal, Gateway, AppGuard, AppInterceptor, AppFilter])]
struct Module;

async fn app() -> (Arc<Journal>, Peer) {
    let mut app = App::create::<Module>().without_logger().await.unwrap();
    app.use_global_guards(app.get::<AppGuard>());
    app.use_global_interceptors(app.get::<AppInterceptor>());
    app.use_global_filters(app.get::<AppFilter>());
    let journal = app.get::<Journal>();
    let mut peer = Peer::new(&app.get::<Gateway>().server);
    let mut sent = peer.ask("0");
    sent.extend(peer.wait(1 - sent.len()).await);
    assert!(sent[0].starts_with(r#"0{"sid""#), "{sent:?}");
    let asked = journal.take();
    assert_eq!(
        asked,
        ["app guard: handle_connection", "gateway guard: handle_connection"]
    );
    (journal, peer)
}

async fn ask(peer: &mut Peer, packet: &str, count: usize) -> Vec<String> {
    let mut sent = peer.ask(packet);
    sent.extend(peer.wait(count.saturating_sub(sent.len())).await);
    sent
}

#[tokio::test]
async fn stages_run_in_nests_order() {
    let (journal, mut peer) = app().await;
    assert_eq!(ask(&mut peer, r#"21["text","hi"]"#, 1).await, [r#"31["hi"]"#]);
    assert_eq!(
        journal.take(),
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
        journal.take()[6..],
        ["handler failed", "gateway failed", "app failed", "app filter"]
    );
}

#[tokio::test]
async fn the_nearest_filter_of_the_type_catches() {
    let (journal, mut peer) = app().await;
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
        assert_eq!(journal.take().last().unwrap(), filter);
    }
    assert_eq!(ask(&mut peer, r#"26["odd",4]"#, 1).await, ["36[4]"]);
}
