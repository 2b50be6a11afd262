//! Quantities of processor and memory as Kubernetes writes them.

/// Thousandths of a processor: `1`, `0.5`, `1000m`.
pub fn cpu_millis(text: &str) -> Option<u32> {
    if let Some(millis) = text.strip_suffix('m') {
        return millis.parse().ok();
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis: u32 = format!("{fraction:0<3}").parse().ok()?;
    whole.parse::<u32>().ok()?.checked_mul(1_000)?.checked_add(millis)
}

/// Bytes: `512Mi`, `2G`, `1073741824`, `0.5Gi`.
pub fn bytes(text: &str) -> Option<u64> {
    const UNITS: &[(&str, u64)] = &[
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
    ];
    let (digits, unit) = UNITS
        .iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, *unit)))
        .unwrap_or((text, 1));
    if let Ok(whole) = digits.parse::<u64>() {
        return whole.checked_mul(unit);
    }
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = digits.parse().ok().filter(|_| plain && !digits.is_empty())?;
    // Far below 2^53: exact enough for a size.
    let size = number * unit as f64;
    (size.is_finite() && size < 1e15).then_some(size as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        assert_eq!(cpu_millis("1"), Some(1_000));
        assert_eq!(cpu_millis("1000m"), Some(1_000));
        assert_eq!(cpu_millis("0.08"), Some(80));
        assert_eq!(cpu_millis("x"), None);
        assert_eq!(bytes("512Mi"), Some(512 << 20));
        assert_eq!(bytes("0.5Gi"), Some(512 << 20));
        assert_eq!(bytes("2G"), Some(2_000_000_000));
        assert_eq!(bytes("1024"), Some(1_024));
        for wrong in ["", "Mi", "-1Gi", "1 Gi", "1e9", "inf"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
