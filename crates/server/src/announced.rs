//! The header of the PROXY protocol at the beginning of a connection, read so that nothing behind it is.

use std::io;
use std::net::SocketAddr;

use gatewire_proto::proxy::{HeaderError, Source, decode};
use tokio::net::TcpStream;

use crate::proxies::{Peer, ProxyProtocol};

/// Why a proxy's connection is closed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("no whole header came within {0:?}")]
    Late(std::time::Duration),
    /// As those do that look whether the port is open.
    #[error("it was closed before a header came")]
    Closed,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads the header with which the connection of the trusted `proxy` must begin: for whom the proxy speaks. `None` if there
/// is none, which is logged.
pub(crate) async fn announced(stream: &TcpStream, proxy: SocketAddr, bounds: ProxyProtocol) -> Option<Peer> {
    let read = tokio::time::timeout(bounds.timeout, read(stream, bounds.max_header)).await;
    match read.unwrap_or(Err(Failure::Late(bounds.timeout))) {
        Ok(Source::Client { address, is_secure }) => Some(Peer {
            address: SocketAddr::new(address.ip().to_canonical(), address.port()),
            hops: 1,
            is_secure,
        }),
        Ok(Source::Proxy | Source::Unknown) => Some(proxy.into()),
        Err(failure @ (Failure::Closed | Failure::Io(_))) => {
            tracing::debug!(%proxy, %failure, "a connection of a trusted proxy has ended");
            None
        }
        Err(failure) => {
            tracing::warn!(
                %proxy, %failure,
                "a connection of a trusted proxy is closed, for it does not begin with the PROXY protocol"
            );
            None
        }
    }
}

async fn read(stream: &TcpStream, max_header: usize) -> Result<Source, Failure> {
    let mut buffer = vec![0; max_header.max(LEAST)];
    let mut taken = 0;
    loop {
        let seen = stream.peek(&mut buffer[taken..]).await?;
        if seen == 0 {
            return Err(Failure::Closed);
        }
        let header = decode(&buffer[..taken + seen], max_header)?;
        // What is not a whole header is all of it; what comes behind one stays where it is.
        let end = header.map_or(taken + seen, |header| header.length);
        take(stream, &mut buffer[taken..end]).await?;
        taken = end;
        if let Some(header) = header {
            return Ok(header.source);
        }
    }
}

/// Takes what was seen.
async fn take(stream: &TcpStream, mut seen: &mut [u8]) -> Result<(), Failure> {
    while !seen.is_empty() {
        stream.readable().await?;
        match stream.try_read(seen) {
            Ok(0) => return Err(Failure::Closed),
            Ok(read) => seen = &mut seen[read..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Longer than any header of version 1, so that there is room for each.
const LEAST: usize = 128;
