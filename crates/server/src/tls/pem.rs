//! Certificates and keys in PEM, and the configuration of rustls that they make. Nothing is kept and nothing is watched
//! here: that is the matter of [`reload`](super::reload).

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring::{self, Ticketer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{InconsistentKeys, RootCertStore, ServerConfig};

use super::{ALPN_H2, ALPN_HTTP1};

/// The longest file that is read, in bytes: all authorities that there are take less than one MiB.
const MOST: u64 = 16 << 20;

/// Where one part of the configuration comes from.
#[derive(Clone)]
pub(super) enum Source {
    File(PathBuf),
    Text(Vec<u8>),
}

/// Where the whole configuration comes from.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) certificates: Source,
    pub(super) key: Source,
    pub(super) client_ca: Option<Source>,
}

/// What was read of [`Files`].
#[derive(PartialEq, Eq)]
pub(super) struct Contents {
    certificates: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Files {
    pub(super) fn has_file(&self) -> bool {
        [Some(&self.certificates), Some(&self.key), self.client_ca.as_ref()]
            .into_iter()
            .flatten()
            .any(|source| matches!(source, Source::File(_)))
    }

    pub(super) fn read(&self) -> Result<Contents, TlsError> {
        Ok(Contents {
            certificates: self.certificates.read()?,
            key: self.key.read()?,
            client_ca: self.client_ca.as_ref().map(Source::read).transpose()?,
        })
    }

    /// The configuration that `contents`, read of these files, makes.
    pub(super) fn configure(&self, contents: &Contents) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let chain = self.certificates.chain(&contents.certificates)?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|error| match error {
            pem::Error::NoItemsFound => TlsError::NoKey {
                file: self.key.to_string(),
                is_encrypted: contents.key.windows(9).any(|words| words == b"ENCRYPTED"),
            },
            error => self.key.malformed(&describe(&error)),
        })?;
        let certified = CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::Mismatch {
                certificates: self.certificates.to_string(),
                key: self.key.to_string(),
            },
            // A key of an unknown kind is told of as "failed to parse private key as RSA, ECDSA, or EdDSA".
            rustls::Error::General(_) => self.key.malformed(&error),
            error => self.certificates.malformed(&error),
        })?;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::provider(&error))?;
        let builder = match (&self.client_ca, &contents.client_ca) {
            (Some(source), Some(text)) => {
                let mut roots = RootCertStore::empty();
                for authority in source.chain(text)? {
                    roots.add(authority).map_err(|error| source.malformed(&error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .map_err(|error| source.malformed(&error))?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![ALPN_H2.to_vec(), ALPN_HTTP1.to_vec()];
        // A client that comes back brings its session along; the server keeps none. Its key lives as long as this
        // configuration, so that no session outlives the authorities that let it in.
        config.ticketer = Ticketer::new().map_err(|error| TlsError::provider(&error))?;
        Ok(config)
    }
}

impl Source {
    fn read(&self) -> Result<Vec<u8>, TlsError> {
        match self {
            Self::File(path) => read_file(path).map_err(|error| TlsError::Read {
                file: self.to_string(),
                kind: error.kind(),
                message: error.to_string(),
            }),
            Self::Text(text) => Ok(text.clone()),
        }
    }

    fn chain(&self, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(text)
            .collect::<Result<_, _>>()
            .map_err(|error| self.malformed(&describe(&error)))?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate {
                file: self.to_string(),
            });
        }
        Ok(chain)
    }

    fn malformed(&self, error: &dyn fmt::Display) -> TlsError {
        TlsError::Malformed {
            file: self.to_string(),
            message: error.to_string(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Text(_) => f.write_str("the text that was given"),
        }
    }
}

/// Reads a whole file. What else a path may name is told apart before it is opened: to open a pipe is to wait for who writes
/// into it, and a device may have no end.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let file = std::fs::metadata(path)?;
    let invalid = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    if !file.is_file() {
        return invalid("it is no regular file");
    }
    if file.len() > MOST {
        return invalid("it is longer than 16 MiB");
    }
    std::fs::read(path)
}

/// What is wrong, in words: the error itself writes lines as numbers.
fn describe(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            format!("a section {} has no end", String::from_utf8_lossy(end_marker))
        }
        pem::Error::IllegalSectionStart { line } => {
            let line = String::from_utf8_lossy(line);
            format!("the line `{}` begins no section", line.trim_end())
        }
        error => error.to_string(),
    }
}

/// The text may be a key.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why TLS cannot be set up, or what is new cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{file} cannot be read: {message}")]
    Read {
        /// The file.
        file: String,
        /// The kind of the operating system's error.
        kind: io::ErrorKind,
        /// Its text.
        message: String,
    },
    /// A file without a certificate.
    #[error("{file} holds no certificate: it must have a section `-----BEGIN CERTIFICATE-----`")]
    NoCertificate {
        /// The file.
        file: String,
    },
    /// A file without a key that can be used.
    #[error(
        "{file} holds no private key: it must have a section `-----BEGIN PRIVATE KEY-----`{}",
        if *is_encrypted { "; it is encrypted: decrypt it first, as with `openssl pkey -in`" } else { "" }
    )]
    NoKey {
        /// The file.
        file: String,
        /// There is one, but under a passphrase.
        is_encrypted: bool,
    },
    /// A section that is no PEM, or not what its name says.
    #[error("{file} is not well-formed: {message}")]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong.
        message: String,
    },
    /// Certificate and key are not a pair.
    #[error(
        "the key in {key} is not that of the first certificate in {certificates}: give the two that belong together, the server's own certificate first"
    )]
    Mismatch {
        /// The file with the certificate.
        certificates: String,
        /// The file with the key.
        key: String,
    },
    /// An option of a configuration that is made elsewhere.
    #[error("client certificates are asked for by the rustls configuration that was given: set its verifier")]
    Fixed,
    /// The cryptography does not work here.
    #[error("TLS cannot be set up: {message}")]
    Provider {
        /// What is wrong.
        message: String,
    },
}

impl TlsError {
    fn provider(error: &rustls::Error) -> Self {
        Self::Provider {
            message: error.to_string(),
        }
    }
}
