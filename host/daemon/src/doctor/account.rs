//! What the account at a cloud allows.

use sockerless_ports::{
    Backend,
    backend::{Check, Error, ErrorCode, Zone},
};

use super::report::{fail, pass, skip};

/// What the plugin itself looks at, and what it is told to do and undo.
pub async fn examine(backend: &dyn Backend) -> Vec<Check> {
    let mut checks = match backend.doctor().await {
        Ok(checks) => checks,
        Err(error) => vec![fail("plugin", &error.message, "see the log (RUST_LOG=debug)")],
    };
    checks.push(storage(backend).await);
    checks.push(dns(backend).await);
    checks
}

/// A blob is written, read and deleted.
async fn storage(backend: &dyn Backend) -> Check {
    const NAME: &str = "storage";
    let path = format!("doctor/{}", mark());
    let content = b"written by sockerless doctor";
    let refused = |step: &str, error: &Error| {
        let remedy = match error.code {
            ErrorCode::Unauthenticated => "renew the credential; see the check of it above",
            ErrorCode::Unavailable | ErrorCode::DeadlineExceeded => {
                "check the way to the storage: network, proxy, and the endpoint settings"
            }
            _ => {
                "give the principal the right to write, read and delete there, or name another place in the backend's settings"
            }
        };
        fail(NAME, &format!("a file cannot be {step}: {}", error.message), remedy)
    };
    if let Err(error) = backend.put(&path, content).await {
        return refused("written", &error);
    }
    let read = backend.get(&path, 0, 1024).await;
    let deleted = backend.delete_blob(&path).await;
    match (read, deleted) {
        (Err(error), _) => refused("read", &error),
        (Ok(read), _) if read != content => {
            fail(NAME, "a file came back with another content", "see whether something between changes it")
        }
        (_, Err(error)) => refused("deleted", &error),
        (Ok(_), Ok(())) => pass(NAME, "a file was written, read and deleted"),
    }
}

/// A zone is made and removed.
async fn dns(backend: &dyn Backend) -> Check {
    const NAME: &str = "dns";
    let mark = mark();
    let zone = Zone {
        name: format!("sockerless-doctor-{mark}"),
        domain: format!("{mark}.doctor.sockerless.internal."),
        owner: mark,
        labels: Vec::new(),
    };
    let remedy = "give the principal the right to make and remove private zones";
    match backend.ensure_zone(&zone).await {
        Err(error) if error.code == ErrorCode::Unsupported => {
            skip(NAME, &format!("networks get no zone: {}", error.message))
        }
        Err(error) => fail(NAME, &format!("a zone cannot be made: {}", error.message), remedy),
        Ok(()) => match backend.delete_zone(&zone.name).await {
            Ok(()) => pass(NAME, "a zone was made and removed"),
            Err(error) => fail(NAME, &format!("a zone cannot be removed: {}", error.message), remedy),
        },
    }
}

/// A name that nobody else has.
fn mark() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}", now.as_nanos(), std::process::id())
}
