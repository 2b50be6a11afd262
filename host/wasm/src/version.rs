//! Which version of the contract a component speaks.

/// The namespace and name of the contract's package.
const PACKAGE: &str = "sockerless:backend/";

/// The interface whose export says that a component is a backend.
const IDENTITY: &str = "plugin";

/// A version of the contract that this host has bindings for. A new one gets a variant, a folder
/// beside `v0_1/`, and its line in [`Contract::of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contract {
    /// `sockerless:backend@0.1.x`.
    V0_1,
}

/// For messages.
const SUPPORTED: &str = "0.1.x";

/// The contract that this host speaks, for people: `sockerless:backend@0.1.x`.
pub fn contract() -> String {
    format!("{}@{SUPPORTED}", PACKAGE.trim_end_matches('/'))
}

impl Contract {
    /// Chooses the bindings by the names of a component's exports.
    ///
    /// # Errors
    /// A sentence that names what was found and what is supported.
    pub(crate) fn of<'a>(exports: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let version = exports.into_iter().find_map(identity_version).ok_or_else(|| {
            format!(
                "it exports no {PACKAGE}{IDENTITY}, so it is no backend for Sockerless \
                 (this host speaks {PACKAGE}*@{SUPPORTED})"
            )
        })?;
        match series(version) {
            Some((0, 1)) => Ok(Self::V0_1),
            _ => Err(format!(
                "it speaks version {version:?} of the contract sockerless:backend, \
                 this host speaks {SUPPORTED}; build it against a supported version, \
                 or use a Sockerless that knows this one"
            )),
        }
    }
}

/// The version in `sockerless:backend/plugin@VERSION`; empty when it has none.
fn identity_version(export: &str) -> Option<&str> {
    let (interface, version) = match export.split_once('@') {
        Some((interface, version)) => (interface, version),
        None => (export, ""),
    };
    (interface.strip_prefix(PACKAGE)? == IDENTITY).then_some(version)
}

/// Major and minor of a semantic version. A pre-release has no series: it promises nothing.
fn series(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    let _patch: u64 = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some((major, minor))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_patch_of_a_supported_minor_is_accepted() {
        for version in ["0.1.0", "0.1.7"] {
            let export = format!("sockerless:backend/plugin@{version}");
            assert_eq!(Contract::of(["wasi:cli/run@0.2.0", export.as_str()]), Ok(Contract::V0_1));
        }
    }

    #[test]
    fn an_unknown_version_is_named_beside_the_supported_ones() {
        for version in ["0.2.0", "1.0.0", "0.1.0-rc.1", "7"] {
            let export = format!("sockerless:backend/plugin@{version}");
            let error = Contract::of([export.as_str()]).unwrap_err();
            assert!(error.contains(version) && error.contains(SUPPORTED), "{error}");
        }
    }

    #[test]
    fn a_component_of_another_kind_is_told_so() {
        let error = Contract::of(["wasi:cli/run@0.2.0"]).unwrap_err();
        assert!(error.contains("no backend for Sockerless"), "{error}");
    }

    proptest! {
        #[test]
        fn any_name_of_an_export_is_read_without_a_panic(name in ".*") {
            let _ = Contract::of([name.as_str()]);
        }
    }
}
