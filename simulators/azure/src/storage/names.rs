//! Names of accounts and shares.

use crate::error::{ArmError, Result};

/// 3 to 24 small letters and digits.
pub fn is_account(name: &str) -> bool {
    (3..=24).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// 3 to 63 small letters, digits and single hyphens, none of them at an end.
pub fn is_share(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (3..=63).contains(&name.len())
        && name.bytes().all(plain)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}

/// # Errors
/// 400 AccountNameInvalid.
pub fn check_account(name: &str) -> Result<()> {
    if is_account(name) {
        return Ok(());
    }
    Err(ArmError::bad(
        "AccountNameInvalid",
        format!(
            "{name} is not a valid storage account name. Storage account name must be between 3 and 24 characters in length and \
             use numbers and lower-case letters only."
        ),
    ))
}

/// # Errors
/// 400 InvalidResourceName.
pub fn check_share(name: &str) -> Result<()> {
    if is_share(name) {
        return Ok(());
    }
    Err(ArmError::bad("InvalidResourceName", "The specified resource name contains invalid characters."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_names_of_dns() {
        assert!(is_share("abc") && is_share("a-b-1") && is_account("abc1"));
        for bad in ["ab", "-ab", "ab-", "a--b", "Abc", "a_b", &"a".repeat(64)] {
            assert!(!is_share(bad), "{bad}");
        }
        assert!(!is_account("a-b") && !is_account(&"a".repeat(25)));
    }
}
