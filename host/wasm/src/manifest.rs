//! What a manifest may say.

use sockerless_ports::backend::{Error, ErrorCode, Manifest};

/// How every environment variable of a plugin's setting begins.
const PREFIX: &str = "SOCKERLESS_";

/// Holds a manifest to the rules of `wit/plugin.wit`, before anything of it is used.
///
/// # Errors
/// `InvalidArgument` with the plugin's name and what is wrong.
pub(crate) fn check(manifest: &Manifest) -> Result<(), Error> {
    let wrong = |what: String| {
        Err(Error::new(ErrorCode::InvalidArgument, format!("plugin {:?}: {what}", manifest.name)))
    };
    if !is_name(&manifest.name, '-') {
        return wrong("its name is not of the form [a-z][a-z0-9-]*".to_owned());
    }
    for setting in &manifest.settings {
        if !is_name(&setting.name, '_') {
            return wrong(format!("the setting {:?} is not of the form [a-z][a-z0-9_]*", setting.name));
        }
    }
    // Otherwise a plugin could have the daemon's other secrets read out to it, by naming them.
    let foreign = |variable: &str| !variable.is_empty() && !variable.starts_with(PREFIX);
    if let Some(setting) = manifest.settings.iter().find(|setting| foreign(&setting.environment)) {
        return wrong(format!(
            "the variable {:?} of its setting {} does not begin with {PREFIX}",
            setting.environment, setting.name
        ));
    }
    for grant in &manifest.http {
        match grant.host.strip_prefix("setting:") {
            Some(name) if !manifest.settings.iter().any(|setting| setting.name == name) => {
                return wrong(format!(
                    "it asks for the host of the setting {name:?}, which it does not declare"
                ));
            }
            _ => {}
        }
    }
    let driver = &manifest.volumes;
    if !is_name(&driver.name, '-') {
        return wrong(format!(
            "the name {:?} of its volumes' driver is not of the form [a-z][a-z0-9-]*",
            driver.name
        ));
    }
    if !driver.mountpoint.starts_with('/') || driver.mountpoint.matches("{name}").count() != 1 {
        return wrong(format!(
            "the mountpoint {:?} of its volumes is no absolute path with {{name}} in it",
            driver.mountpoint
        ));
    }
    Ok(())
}

fn is_name(text: &str, joint: char) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == joint)
}

#[cfg(test)]
pub(crate) mod tests {
    use sockerless_ports::backend::{Features, HttpGrant, Limits, Setting, VolumeDriver};

    use super::*;

    /// A manifest that asks for nothing.
    pub(crate) fn manifest() -> Manifest {
        Manifest {
            name: "test".to_owned(),
            version: "1.0.0".to_owned(),
            description: "A test.".to_owned(),
            settings: Vec::new(),
            http: Vec::new(),
            features: Features::default(),
            limits: Limits {
                max_timeout_seconds: 1,
                cpu_millis: (1, 2),
                memory_bytes: (1, 2),
                stop_grace_seconds: 1,
                max_env: 1,
            },
            sizes: Vec::new(),
            volumes: VolumeDriver::default(),
        }
    }

    #[test]
    fn a_grant_for_an_undeclared_setting_is_refused() {
        let mut manifest = manifest();
        manifest.http = vec![HttpGrant { host: "setting:endpoint".to_owned(), credentials: Vec::new() }];
        assert!(check(&manifest).unwrap_err().message.contains("\"endpoint\""));
    }

    #[test]
    fn a_setting_cannot_read_a_variable_that_is_not_sockerlesss_own() {
        let mut manifest = manifest();
        manifest.settings = vec![Setting {
            name: "key".to_owned(),
            environment: "AWS_SECRET_ACCESS_KEY".to_owned(),
            description: String::new(),
            required: false,
            default: None,
        }];
        assert!(check(&manifest).unwrap_err().message.contains("\"AWS_SECRET_ACCESS_KEY\""));
    }

    #[test]
    fn a_driver_of_volumes_that_cannot_be_shown_is_refused() {
        for (name, mountpoint) in
            [("Files", "/mnt/{name}"), ("", "/mnt/{name}"), ("files", "mnt/{name}"), ("files", "/mnt")]
        {
            let mut manifest = manifest();
            manifest.volumes = VolumeDriver { name: name.to_owned(), mountpoint: mountpoint.to_owned() };
            assert!(check(&manifest).is_err(), "{name:?} {mountpoint:?}");
        }
    }

    #[test]
    fn a_name_that_no_runtime_can_have_is_refused() {
        for name in ["", "Cloud", "1a", "a/b", "a b"] {
            let mut manifest = manifest();
            manifest.name = name.to_owned();
            assert!(check(&manifest).is_err(), "{name:?}");
        }
    }
}
