use gatewire::prelude::*;

struct NotAGuard;

#[injectable]
struct NotAnInterceptor;

struct NotInjectable;

impl Guard for NotInjectable {
    async fn can_activate(&self, _context: &ExecutionContext) -> Result<bool, Exception> {
        Ok(true)
    }
}

#[websocket_gateway]
#[use_guards]
#[use_interceptors(NotAnInterceptor)]
struct Events;

#[subscriptions]
impl Events {
    #[subscribe_message("value")]
    #[use_guards(NotAGuard { })]
    fn value(&self) {}

    #[subscribe_message("class")]
    #[use_guards(NotInjectable)]
    fn class(&self) {}

    #[subscribe_message("filter")]
    #[use_filters(String::new())]
    fn filter(&self) {}
}

#[use_guards(NotInjectable)]
struct NoGateway;

fn main() {}
