//! Why something could not be done, in dockerd's words and by kind.

use std::{fmt::Display, io};

use nix::errno::Errno;
use sockerless_agent_wire::request::{Fault, FaultKind};

/// A fault of this kind.
pub fn fault(kind: FaultKind, message: impl Into<String>) -> Fault {
    Fault { kind, message: message.into() }
}

/// What was to be done, and what the kernel said: `lstat /x: no such file or directory`.
pub fn failed(what: impl Display, error: &io::Error) -> Fault {
    let errno = errno(error);
    fault(kind(errno), format!("{what}: {}", words(error, errno)))
}

fn kind(errno: Option<Errno>) -> FaultKind {
    match errno {
        Some(Errno::ENOENT) => FaultKind::NotFound,
        Some(Errno::EACCES | Errno::EPERM | Errno::EROFS) => FaultKind::Forbidden,
        Some(Errno::ENOSYS | Errno::ENOTSUP) => FaultKind::Unsupported,
        Some(Errno::ECONNREFUSED) => FaultKind::Refused,
        _ => FaultKind::Internal,
    }
}

/// The error's number, if the kernel gave one.
pub fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}

fn words(error: &io::Error, errno: Option<Errno>) -> String {
    errno.map_or_else(|| error.to_string(), |errno| errno.desc().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_refusals_get_dockerds_words_and_a_kind() {
        let said = |errno: Errno| {
            let Fault { kind, message } = failed("lstat /x", &io::Error::from_raw_os_error(errno as i32));
            (kind, message)
        };
        assert_eq!(
            said(Errno::ENOENT),
            (FaultKind::NotFound, "lstat /x: no such file or directory".to_owned())
        );
        assert_eq!(said(Errno::EACCES), (FaultKind::Forbidden, "lstat /x: permission denied".to_owned()));
        assert_eq!(said(Errno::EROFS).1, "lstat /x: read-only file system");
        assert_eq!(said(Errno::ENOTDIR), (FaultKind::Internal, "lstat /x: not a directory".to_owned()));
    }
}
