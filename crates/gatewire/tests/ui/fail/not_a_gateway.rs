//! A block of handlers whose struct is something else: nobody would ever call them.

use gatewire::prelude::*;

#[injectable]
struct Service;

#[subscriptions]
impl Service {
    #[subscribe_message("ping")]
    fn ping(&self) {}
}

#[injectable]
struct Other;

#[routes]
impl Other {
    #[get("/ping")]
    fn ping(&self) {}
}

#[module(providers = [Service, Other])]
struct AppModule;

fn main() {}
