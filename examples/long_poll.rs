//! Long-polling: a request is held open until there is news. Try `curl http://localhost:3000/score`, then the same with
//! `?cursor=` and the cursor of the answer, and meanwhile `curl -X POST http://localhost:3000/score/home`. `HOLD` is how many
//! milliseconds a request is held at most (25000).

use std::time::Duration;

use gatewire::controller::{LongPoll, Query, Waited};
use gatewire::prelude::*;
use http::StatusCode;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Default, Serialize)]
struct Score {
    home: u32,
    away: u32,
}

#[derive(Deserialize)]
struct Since {
    cursor: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Side {
    Home,
    Away,
}

#[controller("/score")]
struct ScoreController {
    #[inject(value = LongPoll::new(Score::default()))]
    score: LongPoll<Score>,
    #[inject(value = hold())]
    hold: Duration,
}

#[routes]
impl ScoreController {
    #[get]
    async fn score(&self, Query(since): Query<Since>) -> Waited<Score> {
        self.score.until(since.cursor, self.hold).await
    }

    #[post("/{side}")]
    fn goal(&self, Path(side): Path<Side>) -> StatusCode {
        self.score.update(|score| match side {
            Side::Home => score.home += 1,
            Side::Away => score.away += 1,
        });
        StatusCode::NO_CONTENT
    }
}

fn hold() -> Duration {
    let given = std::env::var("HOLD").ok().and_then(|millis| millis.parse().ok());
    Duration::from_millis(given.unwrap_or(25_000))
}

#[module(controllers = [ScoreController])]
struct AppModule;

#[tokio::main]
async fn main() -> gatewire::Result<()> {
    let host = std::env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let app = App::create::<AppModule>()
        .await?
        .bind(format!("{host}:{port}"))
        .await?;
    println!("listening on http://{}", app.local_addr());
    app.serve().await;
    Ok(())
}
