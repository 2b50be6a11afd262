//! Names of jobs and apps.

use crate::error::{ArmError, Result};
use crate::limits;

/// Whether a name is one: `[a-z]([a-z0-9-]*[a-z0-9])?` without `--`, of 2 to 31 characters.
pub fn is_good(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (2..limits::NAME_CHARACTERS).contains(&name.len())
        && name.bytes().all(plain)
        && name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
        && !name.ends_with('-')
        && !name.contains("--")
}

/// # Errors
/// 400 in the provider's words. `what` is `ContainerApp` or `ContainerAppJob`.
pub fn check(what: &str, name: &str) -> Result<()> {
    if is_good(name) {
        return Ok(());
    }
    Err(ArmError::bad(
        &format!("{what}InvalidName"),
        format!(
            "Invalid {what} name '{name}'. A name must consist of lower case alphanumeric characters or '-', start with an \
             alphabetic character, and end with an alphanumeric character and cannot have '--'. The length must be less than \
             {} characters.",
            limits::NAME_CHARACTERS
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for good in ["ab", "a-b", "sl-0123456789ab-1", &"a".repeat(31)] {
            assert!(is_good(good), "{good}");
        }
        for bad in ["a", "A", "1a", "a-", "a--b", "a_b", &"a".repeat(32)] {
            assert!(!is_good(bad), "{bad}");
        }
    }
}
