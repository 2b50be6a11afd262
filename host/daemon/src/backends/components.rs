//! Which components there are.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{Result, config::Config};

/// The file in the folder of plugins that names the components which came with the daemon, one a line. Who installs the daemon
/// accepts what they ask; any other reaches what the operator grants, and nothing without.
pub(super) const SHIPPED: &str = "shipped";

/// A component that could be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Its file.
    pub path: PathBuf,
    /// Whether it is one of Sockerless' own.
    pub shipped: bool,
    /// Its folder is the folder of plugins, and has no file that names Sockerless' own.
    pub unlisted: bool,
}

/// The components by name: those of the folder, and those that the configuration names.
pub fn components(config: &Config) -> Result<BTreeMap<String, Component>> {
    let folder = config.installed(config.file.plugins.as_deref(), "plugins");
    let came_along = match fs::read_to_string(folder.join(SHIPPED)) {
        Ok(names) => Some(names),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(format!("{SHIPPED} in {}: {error}", folder.display()).into()),
    };
    let component = |path: PathBuf| {
        let here = path.parent() == Some(folder.as_path());
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let shipped = here && came_along.iter().flat_map(|names| names.lines()).any(|line| line == name);
        Component { unlisted: here && came_along.is_none(), shipped, path }
    };
    let mut components = BTreeMap::new();
    match fs::read_dir(&folder) {
        Ok(entries) => {
            for entry in entries {
                let path = entry?.path();
                let stem = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
                if let (Some(name), Some("wasm")) = (stem, path.extension().and_then(|e| e.to_str())) {
                    components.insert(name, component(path));
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(format!("plugins in {}: {error}", folder.display()).into()),
    }
    for (name, backend) in &config.file.backends {
        if let Some(file) = &backend.component {
            let named = Path::new(file);
            let path = if named.is_absolute() || named.extension().is_some() {
                folder.join(named)
            } else {
                folder.join(format!("{file}.wasm"))
            };
            components.insert(name.clone(), component(path));
        }
    }
    if !components.contains_key(&config.backend) {
        let known: Vec<&str> = components.keys().map(String::as_str).collect();
        return Err(format!(
            "there is no backend {:?}; in {} there are: {}",
            config.backend,
            folder.display(),
            if known.is_empty() { "none".into() } else { known.join(", ") }
        )
        .into());
    }
    Ok(components)
}
