//! What a simulator needs before it answers: its folder, to itself, and its port.

use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::Path;

use tokio::net::TcpListener;

use crate::db::Database;

/// Why a simulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state folder or the listener.
    #[error("{0}: {1}")]
    Io(String, std::io::Error),
    /// The database.
    #[error("the state's database: {0}")]
    Database(#[from] rusqlite::Error),
    /// The executor.
    #[error("the executor: {0}")]
    Executor(String),
    /// Another simulator uses the state folder.
    #[error("{0} is in use by another simulator")]
    InUse(String),
}

/// One process owns a state folder; the lock goes with the process, however it ends.
///
/// # Errors
/// [`StartError::InUse`], or that the lock cannot be made.
pub fn lock(state: &Path) -> Result<File, StartError> {
    let path = state.join("lock");
    let failed = |error| StartError::Io(path.display().to_string(), error);
    let file = File::options().create(true).append(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::InUse(state.display().to_string())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Port 0 takes the last port again where it is free: jobs name their images by it. It is kept as the setting `name`.
///
/// # Errors
/// The port is taken, or the database's.
pub async fn listen(
    db: &Database,
    wanted: SocketAddr,
    name: &str,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let last = if wanted.port() == 0 { db.setting(name)? } else { None };
    let last = last.and_then(|port| port.parse().ok()).map(|port| SocketAddr::new(wanted.ip(), port));
    let again = match last {
        Some(last) => TcpListener::bind(last).await.ok(),
        None => None,
    };
    let listener = match again {
        Some(listener) => listener,
        None => TcpListener::bind(wanted).await.map_err(|error| StartError::Io(wanted.to_string(), error))?,
    };
    let address = listener.local_addr().map_err(|error| StartError::Io("listener".to_owned(), error))?;
    db.set_setting(name, &address.port().to_string())?;
    Ok((listener, address))
}
