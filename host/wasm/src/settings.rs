//! The values of a plugin's settings, and where they came from.

use std::collections::BTreeMap;

use sockerless_ports::backend::{Error, ErrorCode, Manifest, Setting};

/// Settings as the guest reads them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    values: BTreeMap<String, Value>,
}

#[derive(Debug, Clone)]
struct Value {
    text: String,
    /// The operator gave it; a default is only the plugin's wish.
    given: bool,
}

impl Settings {
    /// Merges what the operator gave (environment before file) with the manifest's defaults.
    ///
    /// # Errors
    /// `InvalidArgument` for a name that the manifest does not know and for a required setting
    /// that has no value; the message names it and says how to set it.
    pub(crate) fn resolve(
        manifest: &Manifest,
        file: &BTreeMap<String, String>,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        if let Some(unknown) = file.keys().find(|name| !manifest.settings.iter().any(|s| &s.name == *name)) {
            let known: Vec<&str> = manifest.settings.iter().map(|s| s.name.as_str()).collect();
            return Err(invalid(format!(
                "plugin {}: there is no setting {unknown:?}; the settings are: {}",
                manifest.name,
                known.join(", ")
            )));
        }
        let mut values = BTreeMap::new();
        let mut missing = Vec::new();
        for setting in &manifest.settings {
            let given = environment
                .get(&setting.environment)
                .filter(|text| !setting.environment.is_empty() && !text.is_empty())
                .or_else(|| file.get(&setting.name));
            let value = match (given, &setting.default) {
                (Some(text), _) => Value { text: text.clone(), given: true },
                (None, Some(text)) => Value { text: text.clone(), given: false },
                (None, None) if setting.required => {
                    missing.push(setting);
                    continue;
                }
                (None, None) => continue,
            };
            values.insert(setting.name.clone(), value);
        }
        if missing.is_empty() { Ok(Self { values }) } else { Err(unset(manifest, &missing)) }
    }

    /// The value of a setting, its default included.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.text.as_str())
    }

    /// Whether the operator, not the manifest, chose the value.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| value.given)
    }

    /// Whether a repository is, or lies below, one that the operator gave as some setting's value.
    pub(crate) fn is_named(&self, repository: &str) -> bool {
        self.values.values().filter(|value| value.given).any(|value| {
            let text = value.text.trim_end_matches('/');
            let text = text.split_once("://").map_or(text, |(_, rest)| rest);
            // A bare host is some other setting.
            text.contains('/')
                && repository.strip_prefix(text).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::InvalidArgument, message)
}

fn unset(manifest: &Manifest, missing: &[&Setting]) -> Error {
    let each: Vec<String> = missing
        .iter()
        .map(|setting| {
            format!(
                "{} ({}) is not set: set {} in the environment of the daemon, or {} in the section of \
                 this plugin in its configuration file",
                setting.name,
                setting.description.trim_end_matches('.'),
                setting.environment,
                setting.name
            )
        })
        .collect();
    invalid(format!("plugin {}: {}", manifest.name, each.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::tests::manifest;

    fn setting(name: &str, required: bool, default: Option<&str>) -> Setting {
        Setting {
            name: name.to_owned(),
            environment: format!("SOCKERLESS_T_{}", name.to_uppercase()),
            description: format!("The {name}."),
            required,
            default: default.map(str::to_owned),
        }
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
        let mut manifest = manifest();
        manifest.settings = ["a", "b", "c"].map(|name| setting(name, false, Some("default"))).to_vec();
        let file = map(&[("a", "file"), ("b", "file")]);
        let environment = map(&[("SOCKERLESS_T_A", "environment")]);
        let settings = Settings::resolve(&manifest, &file, &environment).unwrap();
        assert_eq!(
            ["a", "b", "c"].map(|name| settings.get(name).unwrap()),
            ["environment", "file", "default"]
        );
        assert_eq!(["a", "b", "c"].map(|name| settings.is_given(name)), [true, true, false]);
    }

    #[test]
    fn an_unset_required_setting_is_an_error_that_says_how_to_set_it() {
        let mut manifest = manifest();
        manifest.settings = vec![setting("project", true, None)];
        let error = Settings::resolve(&manifest, &map(&[]), &map(&[])).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidArgument);
        assert!(error.message.contains("project (The project) is not set"), "{error}");
        assert!(error.message.contains("SOCKERLESS_T_PROJECT"), "{error}");
    }

    #[test]
    fn a_misspelt_setting_is_an_error_that_lists_the_right_ones() {
        let mut manifest = manifest();
        manifest.settings = vec![setting("project", false, None), setting("region", false, None)];
        let error = Settings::resolve(&manifest, &map(&[("projct", "x")]), &map(&[])).unwrap_err();
        assert!(error.message.contains("\"projct\"; the settings are: project, region"), "{error}");
    }
}
