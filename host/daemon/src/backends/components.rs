//! Which components there are.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{Result, config::Config};

/// The components that come with the daemon, by their files in the folder of plugins. Who installs the daemon accepts what
/// they ask; any other reaches what the operator grants, and nothing without.
const SHIPPED: [&str; 2] = ["aca", "cloudrun"];

/// A component that could be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Its file.
    pub path: PathBuf,
    /// Whether it is one of Sockerless' own.
    pub shipped: bool,
}

/// The components by name: those of the folder, and those that the configuration names.
pub fn components(config: &Config) -> Result<BTreeMap<String, Component>> {
    let folder = config.installed(config.file.plugins.as_deref(), "plugins");
    let mut components = BTreeMap::new();
    match fs::read_dir(&folder) {
        Ok(entries) => {
            for entry in entries {
                let path = entry?.path();
                let stem = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
                if let (Some(name), Some("wasm")) = (stem, path.extension().and_then(|e| e.to_str())) {
                    let shipped = SHIPPED.contains(&name.as_str());
                    components.insert(name, Component { path, shipped });
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(format!("plugins in {}: {error}", folder.display()).into()),
    }
    for (name, backend) in &config.file.backends {
        if let Some(component) = &backend.component {
            let named = Path::new(component);
            let path = if named.is_absolute() || named.extension().is_some() {
                folder.join(named)
            } else {
                folder.join(format!("{component}.wasm"))
            };
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let shipped = path.parent() == Some(folder.as_path()) && SHIPPED.contains(&stem);
            components.insert(name.clone(), Component { path, shipped });
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
