//! Building all parts into one folder, as they are installed: `target/dist/{dev,release}`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Result,
    command::{cargo, root, run},
};

/// The agent runs in any image, so it must need nothing of it.
const AGENT_TARGET: &str = "x86_64-unknown-linux-musl";
/// What a plugin is.
const PLUGIN_TARGET: &str = "wasm32-wasip2";

/// Builds everything; gives the folder.
pub fn all(release: bool) -> Result<PathBuf> {
    let root = root();
    let profile = if release { "release" } else { "dev" };
    let dist = root.join("target/dist").join(profile);
    fs::create_dir_all(dist.join("plugins"))?;

    step("plugins");
    run(cargo(&root.join("plugins")).args(["build", "--release", "--target", PLUGIN_TARGET]))?;
    let components = root.join("plugins/target").join(PLUGIN_TARGET).join("release");
    let mut shipped = String::new();
    for entry in fs::read_dir(&components)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            place(&path, &dist.join("plugins"))?;
            shipped += &format!("{}\n", path.file_stem().unwrap_or_default().to_string_lossy());
        }
    }
    // Who installs these agrees to what they ask for; whatever is put beside them later needs a grant.
    fs::write(dist.join("plugins/shipped"), shipped)?;

    for entry in fs::read_dir(root.join("plugins"))? {
        let folder = entry?.path();
        let profile = folder.join("simulator.toml");
        if let (true, Some(name)) = (profile.exists(), folder.file_name()) {
            let name = format!("{}.simulator.toml", name.to_string_lossy());
            fs::copy(profile, dist.join("plugins").join(name))?;
        }
    }

    step("agent");
    run(cargo(&root).args([
        "build",
        "--package",
        "sockerless-agent",
        "--profile",
        "agent",
        "--target",
        AGENT_TARGET,
    ]))?;
    place(&root.join("target").join(AGENT_TARGET).join("agent/sockerless-agent"), &dist)?;

    step("daemon and simulators");
    let mut build = cargo(&root);
    build.args([
        "build",
        "--package",
        "sockerless",
        "--package",
        "sockerless-simulators",
        "--profile",
        profile,
    ]);
    run(&mut build)?;
    let built = root.join("target").join(if release { "release" } else { "debug" });
    for program in ["sockerless", "sockerless-simulators"] {
        place(&built.join(program), &dist)?;
    }
    Ok(dist)
}

fn step(what: &str) {
    eprintln!("building: {what}");
}

/// Puts a file into a folder under its own name. A running program is replaced, not overwritten.
fn place(file: &Path, folder: &Path) -> Result {
    let name = file.file_name().ok_or("a path without a name")?;
    let target = folder.join(name);
    let newer = |a: &Path, b: &Path| -> Option<bool> {
        Some(a.metadata().ok()?.modified().ok()? > b.metadata().ok()?.modified().ok()?)
    };
    if newer(file, &target) == Some(false) {
        return Ok(());
    }
    let part = target.with_extension("part");
    fs::copy(file, &part).map_err(|error| format!("{}: {error}", file.display()))?;
    fs::rename(part, target)?;
    Ok(())
}
