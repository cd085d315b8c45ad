//! Serves one engine on `HOST` (127.0.0.1) and `PORT`, for the examples without gateways.

use std::env;
use std::error::Error;
use std::future::pending;

use gatewire_server::{Body, Engine, Listener};
use http::{Request, Response, StatusCode};

/// Serves `engine` for ever, on `port` unless the environment names another; what is not below its path is not found.
pub(crate) async fn serve(engine: Engine, port: u16) -> Result<(), Box<dyn Error>> {
    let host = env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let port: u16 = env::var("PORT").map_or(Ok(port), |port| port.parse())?;
    let listener = Listener::bind((host, port)).await?;
    println!("listening on http://{}", listener.local_addr()?);

    let answer = move |request: Request<_>, peer| {
        let engine = engine.clone();
        async move {
            if engine.matches(request.uri().path()) {
                return engine.handle(request, Some(peer)).await;
            }
            let mut response = Response::new(Body::default());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    };
    listener.serve(answer, pending()).await;
    Ok(())
}
