use futures_util::{Stream, stream};
use gatewire::prelude::*;

struct Opaque;

#[controller]
struct Wrong;

#[routes]
impl Wrong {
    #[get("/a")]
    fn parameter(&self, opaque: Opaque) {}

    #[get("/b")]
    fn answer(&self) -> Opaque {
        Opaque
    }

    #[get("/c")]
    fn error(&self) -> Result<(), Opaque> {
        Ok(())
    }

    #[sse("/d")]
    fn no_stream(&self) -> u8 {
        7
    }

    #[sse("/e")]
    fn items(&self) -> impl Stream<Item = Opaque> {
        stream::iter([Opaque])
    }
}

#[module(controllers = [Opaque])]
struct AppModule;

fn main() {}
