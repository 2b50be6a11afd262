//! Volumes of the consistency `synced`: a directory on the container's own disk, brought in from the backend's storage
//! before the process starts and back before its end is told, by the agent.
//!
//! The bytes go between agent and storage; the daemon says when, one container of a volume at a time, and owns the
//! version that counts: what an agent has written is the volume's once its name is in the volume's record. So a crash at any
//! point leaves the last version whole.

mod back;
mod gates;
mod mount;
mod turn;

use std::collections::HashMap;

use super::Volume;
use crate::{Error, ErrorKind, Result};

pub(super) use self::gates::Gates;

/// The option that says it, as `docker volume create -o` gives it; the short one says the same.
const OPTION: &str = "sockerless.consistency";
const SHORT: &str = "consistency";

/// Where the storage of such volumes is mounted: for the agent alone.
const STORES: &str = "/.sockerless-volumes";

/// When what a container writes to a volume is seen by others, and how fast it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Consistency {
    /// The backend's storage, mounted: others see what was written within seconds, at the storage's speed.
    #[default]
    Cached,
    /// The container's own disk, brought in before the start and back at the end: at the disk's speed.
    Synced,
}

impl Consistency {
    /// As it is written. None for another word.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "cached" => Some(Self::Cached),
            "synced" => Some(Self::Synced),
            _ => None,
        }
    }
}

/// The options of a volume that is being made, with its consistency among them where it is not the usual one.
///
/// Errors: 400 for a consistency that there is not.
pub(super) fn options(
    mut options: HashMap<String, String>,
    usual: Consistency,
) -> Result<HashMap<String, String>> {
    for name in [OPTION, SHORT] {
        if let Some(text) = options.get(name)
            && Consistency::parse(text).is_none()
        {
            let words = format!("invalid option {name}={text}: a volume is cached or synced");
            return Err(Error::new(ErrorKind::Invalid, words));
        }
    }
    if usual == Consistency::Synced && said(&options).is_none() {
        options.insert(OPTION.to_owned(), "synced".to_owned());
    }
    Ok(options)
}

/// What options say of it.
fn said(options: &HashMap<String, String>) -> Option<Consistency> {
    [OPTION, SHORT].iter().find_map(|name| Consistency::parse(options.get(*name)?))
}

impl Volume {
    /// It lives on the disks of its containers.
    pub fn is_synced(&self) -> bool {
        said(&self.options) == Some(Consistency::Synced)
    }

    /// The options that its backend is to know.
    pub fn backends_options(&self) -> HashMap<String, String> {
        let own = |name: &str| name == OPTION || name == SHORT;
        self.options.iter().filter(|(name, _)| !own(name)).map(|(k, v)| (k.clone(), v.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_has_the_consistency_that_it_was_given_or_the_usual_one_for_good() {
        let given = |text: &str| HashMap::from([(SHORT.to_owned(), text.to_owned())]);
        assert!(
            options(given("quick"), Consistency::Cached).unwrap_err().message.contains("cached or synced")
        );
        assert_eq!(options(given("cached"), Consistency::Synced).unwrap(), given("cached"));
        let synced = options(HashMap::new(), Consistency::Synced).unwrap();
        assert_eq!(said(&synced), Some(Consistency::Synced));
        assert_eq!(options(HashMap::new(), Consistency::Cached).unwrap(), HashMap::new());
    }
}
