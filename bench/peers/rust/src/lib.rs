//! What the Rust peers share: the runtime of `WORKERS` threads and the listening socket at `HOST`:`PORT`. It
//! tunes nothing beyond `TCP_NODELAY`, which every server of this benchmark has on.

use std::io;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::runtime::Builder;

/// Serves `app` until the process is killed.
///
/// Everything runs on the runtime's workers, the accept loop too. `WORKERS=1` takes tokio's current-thread
/// scheduler: the multi-thread one runs a woken task before the others that are ready (its LIFO slot), which makes
/// socketioxide write each of many acknowledgements by itself and costs it several times the CPU time.
///
/// # Errors
/// When `PORT` or `WORKERS` is no number, or the address cannot be bound.
pub fn serve(app: impl FnOnce() -> Router + Send + 'static) -> io::Result<()> {
    let host = std::env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let port = number("PORT", 3000)?;
    let workers = number("WORKERS", 1)?.max(1);
    let mut runtime = match workers {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    let runtime = runtime.worker_threads(workers.into()).enable_all().build()?;
    let server = runtime.spawn(async move {
        let listener = TcpListener::bind((host.as_str(), port)).await?;
        println!("listening on http://{}", listener.local_addr()?);
        let listener = listener.tap_io(|stream| {
            // A socket that died before it was accepted shows itself on the first read.
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, app()).await
    });
    runtime.block_on(server).map_err(io::Error::other)?
}

/// A number of the environment.
///
/// # Errors
/// When it is none.
pub fn number(name: &str, default: u16) -> io::Result<u16> {
    std::env::var(name).map_or(Ok(default), |text| {
        text.parse().map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{name} is no number: {text}"),
            )
        })
    })
}
