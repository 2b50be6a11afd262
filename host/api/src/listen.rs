//! Where the API listens: unix sockets and TCP.

use std::{
    fmt, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    str::FromStr,
};

use nix::unistd::Group;
use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixSocket, UnixStream};

use crate::limits;

/// A place to listen at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A unix socket, for its owner and a group.
    Unix {
        /// The socket's path.
        path: PathBuf,
        /// Name or number of the group; none for the process's own.
        group: Option<String>,
    },
    /// TCP without TLS: loopback addresses alone.
    Tcp(SocketAddr),
}

/// Why a text is no [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address to listen at: give unix:///path/to/socket or tcp://127.0.0.1:2375")]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    /// Reads Docker's form: `unix:///run/docker.sock`, `tcp://127.0.0.1:2375`.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = || AddressError(text.to_owned());
        if let Some(path) = text.strip_prefix("unix://") {
            return if path.is_empty() {
                Err(error())
            } else {
                Ok(Self::Unix { path: path.into(), group: None })
            };
        }
        let authority = text.strip_prefix("tcp://").ok_or_else(error)?.trim_end_matches('/');
        let authority = authority
            .strip_prefix("localhost:")
            .map_or_else(|| authority.to_owned(), |port| format!("127.0.0.1:{port}"));
        authority.parse().map(Self::Tcp).map_err(|_| error())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix { path, .. } => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// Why the API cannot listen there.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The system's word.
    #[error("cannot listen at {address}: {source}")]
    Io {
        /// Where.
        address: Address,
        /// What happened.
        source: io::Error,
    },
    /// A daemon answers there.
    #[error("cannot listen at {0}: another daemon is listening there; stop it or choose another socket")]
    InUse(Address),
    /// Something that is no socket has the name.
    #[error("cannot listen at {0}: a file that is no socket stands there; remove it or choose another path")]
    NotASocket(Address),
    /// The group does not exist.
    #[error(
        "cannot give {address} to group {group:?}: there is no such group; create it with `groupadd {group}` or name another"
    )]
    NoGroup {
        /// Where.
        address: Address,
        /// The group asked for.
        group: String,
    },
    /// Whoever reaches this API is as powerful as its owner.
    #[error(
        "refusing to listen at {0}: without TLS everybody who reaches that address controls this daemon; listen on 127.0.0.1 and reach it by `ssh -L` or DOCKER_HOST=ssh://…"
    )]
    Exposed(Address),
}

/// A bound socket. A unix socket's file is removed with it.
#[derive(Debug)]
pub struct Listener {
    /// With the port that the system chose, if it was 0.
    address: Address,
    pub(crate) socket: Socket,
}

#[derive(Debug)]
pub(crate) enum Socket {
    Unix(UnixListener, SocketFile),
    Tcp(TcpListener),
}

impl Listener {
    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

/// Binds a socket. A file left over from a daemon that is gone is replaced.
pub async fn bind(address: &Address) -> Result<Listener, ListenError> {
    let failed = |source| ListenError::Io { address: address.clone(), source };
    match address {
        Address::Unix { path, group } => {
            let group = group.as_deref().map(|group| group_id(address, group)).transpose()?;
            remove_stale(address, path).await?;
            let socket = UnixSocket::new_stream().map_err(failed)?;
            socket.bind(path).map_err(failed)?;
            let file = SocketFile::new(path).map_err(failed)?;
            // Nobody can connect before `listen`, so the permissions are never too wide.
            std::fs::set_permissions(path, PermissionsExt::from_mode(limits::SOCKET_MODE)).map_err(failed)?;
            if group.is_some() {
                chown(path, None, group).map_err(failed)?;
            }
            let listener = socket.listen(limits::BACKLOG).map_err(failed)?;
            Ok(Listener { address: address.clone(), socket: Socket::Unix(listener, file) })
        }
        Address::Tcp(wanted) => {
            if !wanted.ip().is_loopback() {
                return Err(ListenError::Exposed(address.clone()));
            }
            let socket =
                if wanted.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(failed)?;
            socket.set_reuseaddr(true).map_err(failed)?;
            socket.bind(*wanted).map_err(|source| in_use(address, source))?;
            let listener = socket.listen(limits::BACKLOG).map_err(|source| in_use(address, source))?;
            let address = Address::Tcp(listener.local_addr().map_err(failed)?);
            Ok(Listener { address, socket: Socket::Tcp(listener) })
        }
    }
}

fn in_use(address: &Address, source: io::Error) -> ListenError {
    if source.kind() == io::ErrorKind::AddrInUse {
        ListenError::InUse(address.clone())
    } else {
        ListenError::Io { address: address.clone(), source }
    }
}

async fn remove_stale(address: &Address, path: &Path) -> Result<(), ListenError> {
    let failed = |source| ListenError::Io { address: address.clone(), source };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(meta) if !meta.file_type().is_socket() => return Err(ListenError::NotASocket(address.clone())),
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(failed(error)),
        // Connected, or its queue is full: alive either way.
        Ok(_) | Err(_) => Err(ListenError::InUse(address.clone())),
    }
}

fn group_id(address: &Address, group: &str) -> Result<u32, ListenError> {
    if let Ok(id) = group.parse() {
        return Ok(id);
    }
    match Group::from_name(group) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err(ListenError::NoGroup { address: address.clone(), group: group.to_owned() }),
        Err(error) => Err(ListenError::Io { address: address.clone(), source: error.into() }),
    }
}

/// The file of a unix socket, removed at the end unless it became somebody else's.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the socket's file cannot be removed");
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|meta| (meta.dev(), meta.ino()))
}
