//! Images for a first try.

use std::{fs, path::Path};

use crate::Result;

/// Writes the busybox image and says how to load it.
pub fn write(folder: &Path, name: &str) -> Result {
    fs::create_dir_all(folder)?;
    let path = sockerless_tests::images::write_busybox(folder, name)?;
    println!("docker load --input {}", path.display());
    Ok(())
}
