//! Reading settings, with messages that a person can act on.

use std::str::FromStr;

use crate::{Error, Host, Result, plugin::Manifest, plugin::Setting, url};

/// The settings of a manifest, as the host has them.
pub struct Settings<'a> {
    host: &'a dyn Host,
    known: &'a [Setting],
}

impl<'a> Settings<'a> {
    /// Reads through the host; the manifest supplies names and descriptions for messages.
    pub fn new(host: &'a dyn Host, manifest: &'a Manifest) -> Self {
        Self { host, known: &manifest.settings }
    }

    /// The value; none when it is unset or empty.
    pub fn get(&self, name: &str) -> Option<String> {
        let value = self.host.setting(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// The value.
    ///
    /// # Errors
    /// `invalid-argument` that names the setting, its variable and its purpose.
    pub fn required(&self, name: &str) -> Result<String> {
        self.get(name).ok_or_else(|| match self.known.iter().find(|setting| setting.name == name) {
            Some(setting) => {
                Error::invalid(format!("the setting {} is missing: {}", named(setting), setting.description))
            }
            None => {
                Error::internal(format!("the plugin reads `{name}`, which its manifest does not declare"))
            }
        })
    }

    /// The base of an API: an absolute http or https URL, given back without a slash at its end.
    ///
    /// # Errors
    /// As [`Settings::required`], or when it is no such URL.
    pub fn url(&self, name: &str) -> Result<String> {
        let value = self.required(name)?;
        match url::parse(&value) {
            Some(parts) if !parts.path.contains('?') => Ok(value.trim_end_matches('/').to_owned()),
            _ => Err(self.bad(name, &value, "a URL like https://api.example.com")),
        }
    }

    /// The value as a number or another type that can be read from text; none when it is unset.
    ///
    /// # Errors
    /// `invalid-argument` that says what it should look like.
    pub fn parsed<T: FromStr>(&self, name: &str, like: &str) -> Result<Option<T>> {
        self.get(name).map(|value| value.parse().map_err(|_| self.bad(name, &value, like))).transpose()
    }

    /// The error of a value that is not as it should be.
    pub fn bad(&self, name: &str, value: &str, like: &str) -> Error {
        let known = self.known.iter().find(|setting| setting.name == name);
        let name = known.map_or_else(|| format!("`{name}`"), named);
        Error::invalid(format!("the setting {name} should be {like}, but is {value:?}"))
    }
}

/// The setting with its variable, if it has one.
fn named(setting: &Setting) -> String {
    match setting.environment.as_str() {
        "" => format!("`{}`", setting.name),
        variable => format!("`{}` ({variable})", setting.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorCode, plugin::Feature, plugin::Limits, testing::FakeHost};

    fn manifest() -> Manifest {
        let setting = |name: &str| Setting {
            name: name.into(),
            environment: format!("SOCKERLESS_X_{}", name.to_uppercase()),
            description: "What it is for".into(),
            required: true,
            default: None,
        };
        Manifest {
            name: "x".into(),
            version: "0.1.0".into(),
            description: String::new(),
            settings: vec![setting("project"), setting("endpoint"), setting("timeout")],
            http: vec![],
            features: Feature::empty(),
            limits: Limits {
                max_timeout_seconds: 1,
                cpu_millis: (1, 1),
                memory_bytes: (1, 1),
                stop_grace_seconds: 1,
                max_env: 1,
            },
            sizes: vec![],
            volumes: None,
        }
    }

    #[test]
    fn a_missing_setting_is_named_with_its_variable_and_purpose() {
        let manifest = manifest();
        let host = FakeHost::new();
        let error = Settings::new(&host, &manifest).required("project").unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidArgument);
        assert!(error.message.contains("SOCKERLESS_X_PROJECT") && error.message.contains("What it is for"));
    }

    #[test]
    fn an_empty_setting_is_an_unset_one() {
        let manifest = manifest();
        let host = FakeHost::new().setting("project", "  ");
        assert_eq!(Settings::new(&host, &manifest).get("project"), None);
    }

    #[test]
    fn a_url_loses_its_last_slash_and_must_be_one() {
        let manifest = manifest();
        let host = FakeHost::new().setting("endpoint", "http://127.0.0.1:1/");
        assert_eq!(Settings::new(&host, &manifest).url("endpoint").unwrap(), "http://127.0.0.1:1");
        let host = FakeHost::new().setting("endpoint", "run.googleapis.com");
        let error = Settings::new(&host, &manifest).url("endpoint").unwrap_err();
        assert!(error.message.contains("should be a URL"), "{}", error.message);
    }

    #[test]
    fn a_number_that_is_none_is_an_error() {
        let manifest = manifest();
        let host = FakeHost::new().setting("timeout", "soon");
        assert!(Settings::new(&host, &manifest).parsed::<u64>("timeout", "a number of seconds").is_err());
    }
}
