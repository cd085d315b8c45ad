//! TLS for a listener: which certificate is shown, how long a handshake may take, and how many may be under way. The
//! protocol is rustls, records are the matter of [`stream`], files that of [`pem`].

mod pem;
mod reload;
mod stream;

use gatewire_hub::task;
use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

pub use pem::TlsError;
use pem::{Files, Source};
use reload::Current;
pub(crate) use stream::TlsStream;

/// What a client that speaks HTTP/2 names in the handshake (ALPN).
pub(crate) const ALPN_H2: &[u8] = b"h2";

/// As [`ALPN_H2`], for HTTP/1.1.
const ALPN_HTTP1: &[u8] = b"http/1.1";

/// The server's side of TLS: `https://` and `wss://`. Cheap to clone; clones share certificate, counts and bounds.
///
/// Clients get TLS 1.3 or 1.2, and HTTP/2 or HTTP/1.1, as they ask for.
///
/// ```no_run
/// use gatewire_server::{Listener, Tls};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let tls = Tls::from_pem_files("cert.pem", "key.pem")?;
/// let listener = Listener::bind("0.0.0.0:443").await?.with_tls(tls);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tls {
    current: Arc<Current>,
    handshake_timeout: Duration,
    reload_interval: Duration,
    handshakes: Arc<Semaphore>,
    failed: Arc<AtomicU64>,
    /// The files are looked at, since the first listener began to serve.
    watched: Arc<AtomicBool>,
}

impl Tls {
    /// The certificate chain, the server's own first, and its private key (PKCS#8, PKCS#1 or SEC1), each from a PEM file; both
    /// may be the same one. While a listener serves, the files are looked at every [`reload_interval`](Self::reload_interval):
    /// handshakes then use what is new in them, and open connections go on with what they have. A file that makes no sense
    /// changes nothing, and the log says what is wrong with it.
    ///
    /// # Errors
    /// A file that cannot be read (also because it is a pipe or a device, or longer than 16 MiB), or does not hold what it
    /// should, and a key that is not the certificate's.
    pub fn from_pem_files(
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Result<Self, TlsError> {
        Self::of(Files {
            certificates: Source::File(certificates.into()),
            key: Source::File(key.into()),
            client_ca: None,
        })
    }

    /// As [`from_pem_files`](Self::from_pem_files), from memory; nothing is reloaded.
    ///
    /// # Errors
    /// As [`from_pem_files`](Self::from_pem_files).
    pub fn from_pem(certificates: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Result<Self, TlsError> {
        Self::of(Files {
            certificates: Source::Text(certificates.into()),
            key: Source::Text(key.into()),
            client_ca: None,
        })
    }

    /// A configuration of your own: another provider of cryptography, a certificate for each name, an own verifier of
    /// clients. Its `alpn_protocols` say whether HTTP/2 is spoken: `h2` and `http/1.1`, or the latter alone.
    #[must_use]
    pub fn from_config(config: Arc<ServerConfig>) -> Self {
        Self::with(Current::fixed(config))
    }

    /// Lets in only clients with a certificate that one of the authorities in this PEM file has signed. The file is reloaded
    /// as the others are. Of whom a certificate is says [`Secured::client_certificates`].
    ///
    /// # Errors
    /// A file that cannot be read or holds no certificate, and [`TlsError::Fixed`] for a configuration of your own.
    pub fn require_client_certificates(self, authorities: impl Into<PathBuf>) -> Result<Self, TlsError> {
        let files = self.current.files().ok_or(TlsError::Fixed)?;
        let files = Files {
            client_ca: Some(Source::File(authorities.into())),
            ..files.clone()
        };
        Ok(Self {
            current: Arc::new(Current::read(files)?),
            watched: Arc::default(),
            ..self
        })
    }

    /// Time within which a handshake must have ended, from the moment in which the connection is accepted. Default 10 s.
    #[must_use]
    pub fn handshake_timeout(self, handshake_timeout: Duration) -> Self {
        Self {
            handshake_timeout,
            ..self
        }
    }

    /// Handshakes under way at a time; further ones wait, and their time runs. Default 4,096.
    #[must_use]
    pub fn max_handshakes(self, max: usize) -> Self {
        Self {
            handshakes: Arc::new(Semaphore::new(max.clamp(1, Semaphore::MAX_PERMITS))),
            ..self
        }
    }

    /// How often the files are looked at. Default 10 s.
    #[must_use]
    pub fn reload_interval(self, reload_interval: Duration) -> Self {
        Self {
            reload_interval: reload_interval.max(Duration::from_millis(1)),
            ..self
        }
    }

    /// Looks at the files now, as on a signal; whether there was something new. It reads from the disk.
    ///
    /// # Errors
    /// As [`from_pem_files`](Self::from_pem_files); what was used before stays in use.
    pub fn reload(&self) -> Result<bool, TlsError> {
        self.current.reload()
    }

    /// Handshakes that failed or were given up, since the beginning. Each is in the log, at the level "debug".
    #[must_use]
    pub fn failed_handshakes(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    fn of(files: Files) -> Result<Self, TlsError> {
        Ok(Self::with(Current::read(files)?))
    }

    fn with(current: Current) -> Self {
        Self {
            current: Arc::new(current),
            handshake_timeout: Duration::from_secs(10),
            reload_interval: Duration::from_secs(10),
            handshakes: Arc::new(Semaphore::new(4096)),
            failed: Arc::default(),
            watched: Arc::default(),
        }
    }

    /// Begins to look at the files, until the last clone is dropped. To be called in a runtime.
    pub(crate) fn watch(&self) {
        if self.current.is_watchable() && !self.watched.swap(true, Ordering::Relaxed) {
            task::spawn(
                "gatewire certificates",
                reload::watch(Arc::downgrade(&self.current), self.reload_interval),
            );
        }
    }

    /// Does the handshake on a connection that was just accepted. `None` if it fails, which is logged and counted.
    pub(crate) async fn accept(&self, tcp: TcpStream, peer: SocketAddr) -> Option<Box<TlsStream>> {
        let handshake = async {
            // The semaphore is never closed.
            let _permit = self.handshakes.acquire().await.ok();
            let stream = TlsStream::new(tcp, self.current.config()).map_err(std::io::Error::other)?;
            poll_fn(|cx| stream.poll_handshake(cx)).await?;
            Ok::<_, std::io::Error>(stream)
        };
        let failure = match tokio::time::timeout(self.handshake_timeout, handshake).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => error,
            Err(_elapsed) => std::io::ErrorKind::TimedOut.into(),
        };
        self.failed.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(%peer, error = %failure, "a TLS handshake failed");
        None
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("files", &self.current.files())
            .field("handshake_timeout", &self.handshake_timeout)
            .field("reload_interval", &self.reload_interval)
            .field("failed_handshakes", &self.failed_handshakes())
            .finish_non_exhaustive()
    }
}

/// The mark, among a request's extensions, that it came by TLS: what makes a handshake [secure](gatewire_hub::Handshake::is_secure).
/// A [`Listener`](crate::Listener) with [`Tls`] sets it; where another HTTP server does TLS, insert one yourself.
#[derive(Clone, Debug, Default)]
pub struct Secured {
    client_certificates: Arc<[CertificateDer<'static>]>,
}

impl Secured {
    pub(crate) fn by(stream: &TlsStream) -> Self {
        Self {
            client_certificates: stream.client_certificates().into(),
        }
    }

    /// The client's certificate chain in DER, its own first: verified against the authorities that
    /// [`Tls::require_client_certificates`] names. Empty if none was asked for.
    #[must_use]
    pub fn client_certificates(&self) -> &[CertificateDer<'static>] {
        &self.client_certificates
    }
}
