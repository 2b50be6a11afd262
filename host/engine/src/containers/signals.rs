//! Signals by name and number, as Docker takes them.

use crate::{Error, ErrorKind, Result};

/// The one that no process can refuse.
pub const KILL: i32 = 9;

/// Linux's numbers on x86-64 and arm64.
const NAMES: [(&str, i32); 36] = [
    ("ABRT", 6),
    ("ALRM", 14),
    ("BUS", 7),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("FPE", 8),
    ("HUP", 1),
    ("ILL", 4),
    ("INT", 2),
    ("IO", 29),
    ("IOT", 6),
    ("KILL", 9),
    ("PIPE", 13),
    ("POLL", 29),
    ("PROF", 27),
    ("PWR", 30),
    ("QUIT", 3),
    ("SEGV", 11),
    ("STKFLT", 16),
    ("STOP", 19),
    ("SYS", 31),
    ("TERM", 15),
    ("TRAP", 5),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("USR1", 10),
    ("USR2", 12),
    ("VTALRM", 26),
    ("WINCH", 28),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("RTMIN", 34),
    ("RTMAX", 64),
];

/// `9`, `KILL`, `SIGKILL`, `sigkill`, `RTMIN+3`, `SIGRTMAX-2`. Errors: 400 in dockerd's words.
pub(crate) fn parse(text: &str) -> Result<i32> {
    number(text).ok_or_else(|| Error::new(ErrorKind::Invalid, format!("invalid signal: {text}")))
}

fn number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |rest: &str, base: i32, sign: i32| {
        let offset = rest.parse::<i32>().ok().filter(|offset| (1..=15).contains(offset))?;
        Some(base + sign * offset)
    };
    if let Some(rest) = name.strip_prefix("RTMIN+") {
        return real_time(rest, 34, 1);
    }
    if let Some(rest) = name.strip_prefix("RTMAX-") {
        return real_time(rest, 64, -1);
    }
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_known_by_every_name() {
        for (text, number) in [
            ("9", 9),
            ("KILL", 9),
            ("SIGKILL", 9),
            ("sigterm", 15),
            ("HUP", 1),
            ("RTMIN+3", 37),
            ("SIGRTMAX-1", 63),
            ("SIGRTMIN", 34),
        ] {
            assert_eq!(parse(text), Ok(number), "{text}");
        }
        for bad in ["", "0", "65", "-1", "SIGFOO", "SIG", "RTMIN+16", "RTMIN+", "RTMAX-x"] {
            assert_eq!(parse(bad).map_err(|error| error.message), Err(format!("invalid signal: {bad}")));
        }
    }
}
