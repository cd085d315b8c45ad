//! Stages that the future of a message does not hold as usual: large ones that wait, and one that keeps its context.

mod support;

use std::sync::Mutex;

use gatewire::prelude::*;
use support::{Peer, ask};

/// Stages whose futures do not lie in that of the route, and that have to wait.
mod large {
    use tokio::task::yield_now;

    use super::*;

    const SIZE: usize = 1_000;

    #[injectable]
    struct Large;

    impl Guard for Large {
        async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
            let held = [context.pattern().len(); SIZE];
            yield_now().await;
            Ok(held.iter().all(|&length| length == context.pattern().len()))
        }
    }

    impl Interceptor for Large {
        async fn intercept(&self, _: &ExecutionContext, next: Next<'_>) -> Result<Answer, Exception> {
            let held = [1_usize; SIZE];
            yield_now().await;
            let answer = next.handle().await?;
            yield_now().await;
            Ok(answer.map(|length: usize| length + held.iter().sum::<usize>())?)
        }
    }

    #[websocket_gateway]
    pub(super) struct Gateway {
        #[websocket_server]
        pub(super) server: Server,
    }

    #[subscriptions]
    impl Gateway {
        #[subscribe_message("length")]
        #[use_guards(Large, Large)]
        #[use_interceptors(Large, Large)]
        async fn length(&self, MessageBody(text): MessageBody<String>) -> usize {
            yield_now().await;
            text.len()
        }
    }

    #[module(providers = [Gateway])]
    pub(super) struct Module;
}

#[tokio::test]
async fn stages_may_be_large_and_wait() {
    let app = App::create::<large::Module>().without_logger().await.unwrap();
    let mut peer = Peer::joined(&app.get::<large::Gateway>().server);
    for length in [0, 48, 49, 10_000] {
        let packet = format!(r#"21["length","{}"]"#, "x".repeat(length));
        let answer = format!("31[{}]", length + 2_000);
        assert_eq!(ask(&mut peer, &packet, 1).await, [answer]);
    }
}

/// A stage that keeps what it was asked about.
mod kept {
    use super::*;

    #[injectable]
    pub(super) struct Keeper(#[inject(default)] pub(super) Mutex<Vec<ExecutionContext>>);

    impl Guard for Keeper {
        async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
            self.0.lock().unwrap().push(context.clone());
            Ok(true)
        }
    }

    #[websocket_gateway]
    pub(super) struct Gateway {
        #[websocket_server]
        pub(super) server: Server,
    }

    #[subscriptions]
    #[use_guards(Keeper)]
    impl Gateway {
        #[subscribe_message("now")]
        fn now(&self, MessageBody(text): MessageBody<String>) -> String {
            text
        }

        #[subscribe_message("later")]
        async fn later(&self, MessageBody(text): MessageBody<String>) -> String {
            tokio::task::yield_now().await;
            text
        }

        #[subscribe_message("by hand")]
        fn by_hand(&self, ack: Ack, MessageBody(text): MessageBody<String>) {
            ack.send(&text);
        }
    }

    #[module(providers = [Gateway, Keeper])]
    pub(super) struct Module;
}

#[tokio::test]
async fn a_message_that_somebody_keeps_is_answered_once() {
    let app = App::create::<kept::Module>().without_logger().await.unwrap();
    let mut peer = Peer::joined(&app.get::<kept::Gateway>().server);
    let kept = || std::mem::take(&mut *app.get::<kept::Keeper>().0.lock().unwrap());
    for event in ["now", "later", "by hand"] {
        drop(kept());
        let packet = format!(r#"21["{event}","a"]"#);
        assert_eq!(ask(&mut peer, &packet, 1).await, [r#"31["a"]"#], "{event}");
        let contexts = kept();
        assert_eq!(contexts.len(), 1);
        assert_eq!(contexts[0].data::<String>().unwrap(), "a");
        drop(contexts);
        // What comes next is the answer to this, and nothing that was left of the one before.
        assert_eq!(
            ask(&mut peer, r#"22["now","b"]"#, 1).await,
            [r#"32["b"]"#],
            "{event}"
        );
    }
}
