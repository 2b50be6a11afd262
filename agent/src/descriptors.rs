//! How many files the agent may have open: as many as there may be, for thousands of connections. The container's
//! processes have the limit that the cloud gave.

use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

use crate::say;

/// What the cloud gave.
static GIVEN: OnceLock<rlim_t> = OnceLock::new();

/// Raises the agent's own limit.
pub fn raise() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard {
            GIVEN.get_or_init(|| soft);
            setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        }
        Ok(())
    });
    if let Err(error) = raised {
        say!("the number of open files stays as it is: {error}");
    }
}

/// The limit of what the agent starts, if it is another than the agent's.
pub fn given() -> Option<rlim_t> {
    GIVEN.get().copied()
}

/// Sets it, in a process that is not the agent any more.
pub fn lower(limit: rlim_t) -> nix::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, limit.min(hard), hard)
}
