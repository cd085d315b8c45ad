//! What goes around handlers: guards, interceptors, pipes and filters, for the application, a gateway and a handler. The interop
//! tests ask the event `trace` in which order they ran. Reads `PORT` (3000) and `HOST` (127.0.0.1).

use std::env;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gatewire::prelude::*;
use serde_json::{Value, json};

/// What ran for a client's last message.
#[derive(Default)]
struct Trace(Mutex<Vec<String>>);

fn note(client: &Socket, what: String) {
    let trace = client.get::<Trace>().or_else(|| {
        client.set(Trace::default());
        client.get()
    });
    if let Some(trace) = trace {
        trace.0.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }
}

/// Notes that it was asked, and says no where it finds its name.
struct Tracing(&'static str);

impl Guard for Tracing {
    async fn can_activate(&self, context: &ExecutionContext) -> Result<bool, Exception> {
        note(context.client(), format!("{} guard", self.0));
        if context.is_connection() {
            let auth: Value = context.data()?;
            if auth["refuse"] == self.0 {
                let refusal = json!({ "message": "not today", "by": self.0 });
                return Err(WsException::object(refusal).into());
            }
            return Ok(auth["forbid"] != self.0);
        }
        Ok(context.data::<Value>()? != self.0)
    }
}

impl Interceptor for Tracing {
    async fn intercept(&self, context: &ExecutionContext, next: Next<'_>) -> Result<Answer, Exception> {
        note(context.client(), format!("{} before", self.0));
        let answer = next.handle().await;
        note(context.client(), format!("{} after", self.0));
        answer
    }
}

impl BodyPipe for Tracing {
    async fn transform(&self, body: Payload, argument: &Argument) -> Result<Payload, Exception> {
        note(&argument.client, format!("{} pipe", self.0));
        Ok(body)
    }
}

/// An error of the application's own.
#[derive(Debug)]
struct OutOfStock {
    left: u32,
}

impl From<OutOfStock> for WsException {
    fn from(_: OutOfStock) -> Self {
        Self::new("Out of stock")
    }
}

/// Tells the client how many there are.
#[injectable]
struct StockFilter;

impl ExceptionFilter for StockFilter {
    type Error = OutOfStock;

    async fn catch(&self, error: OutOfStock, _: &ExecutionContext) -> Result<Answer, WsException> {
        Err(WsException::object(
            json!({ "status": "error", "message": "Out of stock", "left": error.left }),
        ))
    }
}

#[websocket_gateway(cors(origin = "*"))]
#[use_guards(Tracing("gateway"))]
#[use_interceptors(Tracing("gateway"))]
#[use_pipes(Tracing("gateway"))]
struct ShopGateway;

#[subscriptions]
impl ShopGateway {
    #[subscribe_message("work")]
    #[use_guards(Tracing("handler"))]
    #[use_interceptors(Tracing("handler"))]
    #[use_pipes(Tracing("handler"))]
    async fn work(&self, client: Socket, MessageBody(body): MessageBody<Value>) -> Value {
        note(&client, "handler".to_owned());
        body
    }

    /// What ran since it was asked last, but for itself.
    #[subscribe_message("trace")]
    fn trace(&self, trace: Extension<Trace>) -> Vec<String> {
        let mut trace = trace.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ran = std::mem::take(&mut *trace);
        ran.truncate(ran.len().saturating_sub(6));
        ran
    }

    #[subscribe_message("buy")]
    #[use_filters(StockFilter)]
    async fn buy(&self, MessageBody(count): MessageBody<u32>) -> Result<u32, OutOfStock> {
        if count > 3 {
            Err(OutOfStock { left: 3 })
        } else {
            Ok(count)
        }
    }

    #[subscribe_message("sell")]
    async fn sell(&self, MessageBody(count): MessageBody<u32>) -> Result<u32, OutOfStock> {
        if count > 3 {
            Err(OutOfStock { left: 3 })
        } else {
            Ok(count)
        }
    }

    #[subscribe_message("secret")]
    async fn secret(&self) -> Result<(), WsException> {
        Err(WsException::internal("the password is hunter2"))
    }

    #[subscribe_message("panic")]
    async fn panic(&self) {
        panic!("the password is hunter2");
    }

    #[subscribe_message("hang")]
    #[use_interceptors(Timeout::after(Duration::from_millis(50)))]
    async fn hang(&self) {
        std::future::pending().await
    }

    #[subscribe_message("rare")]
    #[use_guards(Throttle::per_client(2, Duration::from_secs(60)))]
    fn rare(&self) -> &'static str {
        "here"
    }
}

#[module(providers = [ShopGateway])]
struct AppModule;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host = env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let port: u16 = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let mut app = App::create::<AppModule>().await?;
    app.use_global_guards(Tracing("app"))
        .use_global_interceptors(Tracing("app"))
        .use_global_pipes(Tracing("app"));
    let app = app.bind((host, port)).await?;
    println!("listening on http://{}", app.local_addr());
    app.serve().await;
    Ok(())
}
