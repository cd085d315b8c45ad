//! The controller of the dashboard: the state, and the stream that goes on from it.

use gatewire::controller::{Followed, Json};
use gatewire::prelude::*;

use super::market::{Market, Snapshot};

#[controller("/dashboard")]
pub(crate) struct DashboardController {
    market: Arc<Market>,
}

#[routes]
impl DashboardController {
    /// What a page shows at first. The stream goes on behind it if it is asked for with `lastEventId` = `lastId`.
    #[get("/history")]
    fn history(&self) -> Json<Snapshot> {
        Json(self.market.snapshot())
    }

    /// A browser that lost the stream comes back by itself, with the header `Last-Event-ID`, and gets what it missed.
    #[sse("/ticker")]
    fn ticker(&self, LastEventId(last): LastEventId) -> Followed {
        self.market.follow(last)
    }
}
