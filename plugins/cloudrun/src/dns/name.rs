//! Names: of records relative to their zone, and of the VPC network.

use sockerless_plugin_sdk::{Error, Result};

/// Characters of a domain name, its final dot included (RFC 1035).
const DOMAIN_CHARS: usize = 254;

/// The absolute name of a record: `db` in `ab.internal.` is `db.ab.internal.` Docker's names may have capitals, which DNS
/// does not tell apart.
///
/// # Errors
/// `invalid-argument` for what no domain name can hold.
pub fn absolute(name: &str, domain: &str) -> Result<String> {
    let whole = format!("{}.{domain}", name.to_ascii_lowercase());
    if whole.len() > DOMAIN_CHARS || !name.split('.').all(|label| is_label(&label.to_ascii_lowercase())) {
        return Err(Error::invalid(format!("{name:?} is no name that DNS could hold in {domain}")));
    }
    Ok(whole)
}

/// The name of a record relative to its zone; none for the zone's own.
pub fn relative<'a>(name: &'a str, domain: &str) -> Option<&'a str> {
    name.strip_suffix(domain)?.strip_suffix('.').filter(|rest| !rest.is_empty())
}

/// Whether it is an absolute domain name.
pub fn is_domain(name: &str) -> bool {
    name.len() <= DOMAIN_CHARS && name.strip_suffix('.').is_some_and(|labels| labels.split('.').all(is_label))
}

/// Whether a zone may be called so (`managedZones.name`).
pub fn is_zone(name: &str) -> bool {
    is_label(name) && name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.contains('_')
}

fn is_label(label: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    (1..=63).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sockerless_plugin_sdk::ErrorCode;

    use super::*;

    #[test]
    fn what_dns_cannot_hold_is_refused() {
        assert_eq!(absolute("My_App.1", "ab.internal.").unwrap(), "my_app.1.ab.internal.");
        for bad in ["", "a..b", "-a", "a-", "ü", "a b", &"x".repeat(64), &"x.".repeat(130)] {
            assert_eq!(absolute(bad, "ab.internal.").unwrap_err().code, ErrorCode::InvalidArgument, "{bad}");
        }
        assert!(is_domain("ab.internal.") && !is_domain("ab.internal") && !is_domain("."));
        assert!(is_zone("sockerless-net-01ab") && !is_zone("1a") && !is_zone("a_b") && !is_zone("a-"));
    }

    proptest! {
        #[test]
        fn a_record_is_found_again_by_its_relative_name(name in "[a-z0-9_]([a-z0-9-]{0,20}[a-z0-9])?(\\.[a-z0-9]{1,9})?") {
            let whole = absolute(&name, "ab.internal.").unwrap();
            prop_assert!(is_domain(&whole));
            prop_assert_eq!(relative(&whole, "ab.internal."), Some(name.as_str()));
        }
    }
}
