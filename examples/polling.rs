//! Polling: a client asks again and again, and is answered with 304 and no body while it has the newest state. Try
//! `curl -i http://localhost:3000/tasks`, and the same with `-H 'If-None-Match: <its etag>'`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::Json;
use axum::response::Response;
use gatewire::controller::ETag;
use gatewire::prelude::*;
use http::StatusCode;
use serde::{Deserialize, Serialize};

#[derive(Clone, Deserialize, Serialize)]
struct Task {
    title: String,
    #[serde(default)]
    done: bool,
}

#[derive(Default)]
struct State {
    version: u64,
    tasks: Vec<Task>,
}

#[controller("/tasks")]
struct TasksController {
    #[inject(default)]
    state: Mutex<State>,
}

#[routes]
impl TasksController {
    #[get]
    fn tasks(&self, etag: ETag) -> Response {
        let state = self.state();
        etag.reply(state.version, || Json(state.tasks.clone()))
    }

    #[post]
    fn add(&self, Json(task): Json<Task>) -> (StatusCode, Json<Task>) {
        let mut state = self.state();
        state.tasks.push(task.clone());
        state.version += 1;
        (StatusCode::CREATED, Json(task))
    }

    #[patch("/{index}")]
    fn finish(&self, Path(index): Path<usize>) -> Result<Json<Task>, HttpError> {
        let mut state = self.state();
        let Some(task) = state.tasks.get_mut(index) else {
            return Err(HttpError::not_found("no such task"));
        };
        task.done = true;
        let task = task.clone();
        state.version += 1;
        Ok(Json(task))
    }
}

impl TasksController {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[module(controllers = [TasksController])]
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
