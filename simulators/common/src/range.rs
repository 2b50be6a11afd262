//! `Range` of a request (RFC 9110).

/// The range has no byte of the content: 416.
#[derive(Debug, PartialEq, Eq)]
pub struct Unsatisfiable;

/// First byte and length; none when the header is to be ignored.
pub fn parse(text: &str, size: u64) -> Result<Option<(u64, u64)>, Unsatisfiable> {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Ok(None);
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let (start, end) = match (first.trim().is_empty(), last.trim().is_empty()) {
        (false, false) => (number(first), number(last)),
        (false, true) => (number(first), Some(u64::MAX)),
        (true, false) => match number(last) {
            Some(0) => return Err(Unsatisfiable),
            count => (count.map(|count| size.saturating_sub(count)), Some(u64::MAX)),
        },
        (true, true) => (None, None),
    };
    let (Some(start), Some(end)) = (start, end) else { return Ok(None) };
    if end < start {
        return Ok(None);
    }
    if start >= size {
        return Err(Unsatisfiable);
    }
    Ok(Some((start, end.min(size - 1) - start + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        assert_eq!(parse("bytes=0-4", 10), Ok(Some((0, 5))));
        assert_eq!(parse("bytes=4-", 10), Ok(Some((4, 6))));
        assert_eq!(parse("bytes=-3", 10), Ok(Some((7, 3))));
        assert_eq!(parse("bytes=-30", 10), Ok(Some((0, 10))));
        assert_eq!(parse("bytes=5-100", 10), Ok(Some((5, 5))));
        assert_eq!(parse("bytes=10-", 10), Err(Unsatisfiable));
        for ignored in ["bytes=5-4", "items=0-1", "bytes=a-b", "bytes=-"] {
            assert_eq!(parse(ignored, 10), Ok(None), "{ignored}");
        }
    }
}
