//! Where the built programs lie.

use std::path::PathBuf;

/// The folder that `cargo xtask build` fills: `sockerless`, `sockerless-simulators`,
/// `sockerless-agent` and `plugins/`. The environment's `SOCKERLESS_DIST` names another one.
pub fn folder() -> PathBuf {
    std::env::var_os("SOCKERLESS_DIST").map_or_else(|| target().join("dist").join("dev"), PathBuf::from)
}

/// The workspace's target folder.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")), PathBuf::from)
}

/// A built program, or the words that say how to build it.
pub fn program(name: &str) -> PathBuf {
    let path = folder().join(name);
    assert!(path.exists(), "{} is not built: run `cargo xtask build` (or `./x test`) first", path.display());
    path
}
