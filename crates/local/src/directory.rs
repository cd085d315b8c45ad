//! The directory in which nodes find each other: each has a socket there with its name. A socket comes in under its name
//! only when it listens, so that one which refuses is one whose process is gone, and may be removed by whoever finds it.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gatewire_hub::Id;
use gatewire_hub::cluster::ClusterError;
use tokio::net::{UnixListener, UnixStream};

const SUFFIX: &str = ".sock";

/// A socket that does not listen yet has a name that begins with a dot. One that is so old never will.
const UNFINISHED_FOR: Duration = Duration::from_secs(60);

/// The directory of the nodes of one cluster.
#[derive(Debug, Clone)]
pub(crate) struct Directory(PathBuf);

/// What became of an attempt to connect.
pub(crate) enum Reached {
    Connected(UnixStream),
    /// Its process is gone.
    Gone,
    /// It is there and does not take connections now.
    Busy(io::Error),
}

impl Directory {
    /// Makes it if it is not there, for this user alone, and sees whether sockets can be in it.
    pub(crate) fn open(path: &Path) -> Result<Self, ClusterError> {
        let fault = |message: String| ClusterError::Config {
            message: format!("{}: {message}", path.display()),
        };
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
            .create(path)
            .map_err(|error| fault(format!("the directory cannot be made ({error})")))?;
        let metadata = fs::symlink_metadata(path).map_err(|error| fault(error.to_string()))?;
        if !metadata.is_dir() || metadata.mode() & 0o077 != 0 {
            return Err(fault(format!(
                "it must be a directory that is for its owner alone, and its mode is {:o}: chmod 700, or another path",
                metadata.mode() & 0o7777
            )));
        }
        let directory = Self(path.to_owned());
        // With a name as long as any.
        let name = Id::generate();
        let bound = directory.bind(name.as_str());
        bound.map_err(|error| {
            fault(format!(
                "no socket can be in it ({error}): a shorter path, or another"
            ))
        })?;
        let socket = fs::symlink_metadata(directory.socket(name.as_str()));
        directory.remove(name.as_str());
        match socket {
            Ok(socket) if socket.uid() == metadata.uid() => Ok(directory),
            Ok(_) => Err(fault("it belongs to another user".to_owned())),
            Err(error) => Err(fault(error.to_string())),
        }
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}{SUFFIX}"))
    }

    /// A socket of that name, which listens. Called in a runtime.
    pub(crate) fn bind(&self, name: &str) -> io::Result<UnixListener> {
        let unfinished = self.0.join(format!(".{name}{SUFFIX}"));
        let listener = UnixListener::bind(&unfinished)?;
        fs::rename(unfinished, self.socket(name))?;
        Ok(listener)
    }

    pub(crate) fn remove(&self, name: &str) {
        // Others may have done it.
        let _ = fs::remove_file(self.socket(name));
    }

    /// The names of all sockets; those that never came to listen are removed.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let file = entry.file_name();
            let Some(name) = file.to_str().and_then(|name| name.strip_suffix(SUFFIX)) else {
                continue;
            };
            if is_name(name) {
                names.push(name.to_owned());
            } else if name.starts_with('.') && is_old(&entry) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(names)
    }

    pub(crate) async fn connect(&self, name: &str) -> Reached {
        match UnixStream::connect(self.socket(name)).await {
            Ok(stream) => Reached::Connected(stream),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Reached::Gone,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                self.remove(name);
                Reached::Gone
            }
            Err(error) => Reached::Busy(error),
        }
    }
}

/// Whether a node may be called so: it is part of a path.
pub(crate) fn is_name(name: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&name.len()) && name.bytes().all(is_fit)
}

fn is_old(entry: &fs::DirEntry) -> bool {
    let modified = entry.metadata().and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > UNFINISHED_FOR))
}
