//! Controllers of every form.

use futures_util::{Stream, stream};
use gatewire::controller::{Json, LongPoll, Query, Waited};
use gatewire::prelude::*;

#[injectable]
struct Service;

struct MyError;

impl From<MyError> for HttpError {
    fn from(_: MyError) -> Self {
        HttpError::not_found("nothing here")
    }
}

#[injectable]
struct Closed;

impl Guard for Closed {
    async fn can_activate(&self, _: &ExecutionContext) -> Result<bool, Exception> {
        Ok(false)
    }
}

#[controller("/a", namespace = "/chat")]
#[use_guards(Closed)]
struct Everything {
    #[websocket_server]
    server: Server,
    service: Arc<Service>,
    #[inject(value = LongPoll::new(0))]
    poll: LongPoll<u8>,
    texts: Logger,
}

#[routes]
#[set_metadata(7_u8)]
impl Everything {
    #[get]
    fn unit(&self) {}

    #[get("/value")]
    #[post("/value")]
    async fn value(&self) -> Result<(u8, &'static str), MyError> {
        Ok((1, "one"))
    }

    #[gatewire::put("/{id}")]
    fn response(&self, Path(id): Path<u32>, query: Query<Vec<(String, String)>>, Json(body): Json<u8>) -> String {
        format!("{id} {} {body}", query.0.len())
    }

    #[patch("{id}")]
    fn borrows(&self) -> Vec<&str> {
        vec!["from itself"]
    }

    #[delete("{id}")]
    #[use_guards(Closed)]
    fn fails(&self) -> Result<(), &'static str> {
        Err("no")
    }

    #[get("poll")]
    async fn poll(&self) -> Waited<u8> {
        self.poll.until(None, std::time::Duration::from_secs(1)).await
    }

    #[sse("events")]
    fn events(&self) -> impl Stream<Item = SseEvent> {
        stream::iter([SseEvent::data("borrows from the controller")]).filter_by(&self.service)
    }

    #[sse("more", method = POST)]
    async fn more(&self, text: String) -> Result<Option<impl Stream<Item = Result<u8, MyError>> + use<>>, HttpError> {
        Ok((!text.is_empty()).then(|| stream::iter([Ok(1), Err(MyError)])))
    }

    #[sse("feed")]
    async fn feed(&self, LastEventId(_): LastEventId) -> Result<Feed, HttpError> {
        Ok(Feed::of(&self.server).room("a"))
    }

    fn no_route(&self) -> &Logger {
        &self.texts
    }
}

trait FilterBy: Stream + Sized {
    fn filter_by(self, _: &Service) -> Self {
        self
    }
}

impl<S: Stream> FilterBy for S {}

#[controller]
struct Empty;

#[module(controllers = [Everything], providers = [Service, Empty])]
struct AppModule;

fn main() {
    gatewire::verify::<AppModule>().unwrap();
}
