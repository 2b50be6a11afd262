//! Restart policies.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// dockerd's first pause before a restart; it doubles from one to the next.
const FIRST: SignedDuration = SignedDuration::from_millis(100);
/// dockerd's longest pause.
const LONGEST: SignedDuration = SignedDuration::from_secs(60);
/// A run of so many seconds was a good one: the pauses begin anew.
const GOOD: i64 = 10;

/// Docker's restart policies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Policy {
    #[default]
    No,
    /// When the exit code is not 0; at most so often in a row, 0 for no limit.
    OnFailure {
        most: u32,
    },
    Always,
    UnlessStopped,
}

/// What the policy has done since a user started the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Restarts {
    /// `RestartCount`.
    pub count: u32,
    /// The last pause, milliseconds; 0 before the first.
    pub pause: u64,
    /// When the next start is due.
    pub due: Option<Timestamp>,
    /// The start under way is the policy's, not a user's.
    pub automatic: bool,
    /// A user has stopped the container, or sent it a signal.
    pub stopped: bool,
    /// The policy does not apply to the next end: a user wants it.
    pub cancelled: bool,
}

impl Policy {
    /// After an end while the daemon was there: when to start again, if at all. `seconds`: how long it ran.
    pub fn after_end(self, code: i32, seconds: i64, now: Timestamp, restarts: &Restarts) -> Option<Restarts> {
        let wanted = match self {
            Self::No => false,
            Self::OnFailure { most } => code != 0 && (most == 0 || restarts.count < most),
            Self::Always => true,
            Self::UnlessStopped => !restarts.stopped,
        };
        if !wanted || restarts.cancelled {
            return None;
        }
        let last = if seconds >= GOOD { 0 } else { i64::try_from(restarts.pause).unwrap_or(i64::MAX) };
        let pause = match last {
            0 => FIRST,
            last => SignedDuration::from_millis(last.saturating_mul(2)).min(LONGEST),
        };
        Some(Restarts {
            count: restarts.count.saturating_add(1),
            pause: u64::try_from(pause.as_millis()).unwrap_or(0),
            due: Some(now.checked_add(pause).unwrap_or(now)),
            automatic: false,
            ..restarts.clone()
        })
    }

    /// Whether a container that does not run is started by a daemon that starts.
    pub fn at_boot(self, code: i32, stopped: bool) -> bool {
        match self {
            Self::No => false,
            // dockerd forgets here who stopped it; then every upgrade of the daemon would start it again.
            Self::OnFailure { .. } => code != 0 && !stopped,
            Self::Always => true,
            Self::UnlessStopped => !stopped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(policy: Policy, ends: &[(i32, i64)]) -> Vec<Option<u64>> {
        let mut restarts = Restarts::default();
        let now = Timestamp::UNIX_EPOCH;
        let next = |(code, seconds): &(i32, i64)| {
            let after = policy.after_end(*code, *seconds, now, &restarts)?;
            restarts = after;
            Some(restarts.pause)
        };
        ends.iter().map(next).collect()
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_begin_anew_after_ten_good_seconds() {
        let quick = [(1, 0); 12];
        let got: Vec<_> = pauses(Policy::Always, &quick).into_iter().flatten().collect();
        let expected = [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000];
        assert_eq!(got, expected);
        assert_eq!(pauses(Policy::Always, &[(1, 0), (0, 9), (1, 10)]), [Some(100), Some(200), Some(100)]);
    }

    #[test]
    fn each_policy_wants_what_docker_says() {
        let no = [None, None];
        assert_eq!(pauses(Policy::No, &[(1, 0), (0, 0)]), no);
        let failure = |most| Policy::OnFailure { most };
        assert_eq!(pauses(failure(0), &[(0, 0), (1, 0)]), [None, Some(100)]);
        assert_eq!(pauses(failure(1), &[(1, 0), (1, 0)]), [Some(100), None]);
        assert_eq!(pauses(Policy::UnlessStopped, &[(0, 0)]), [Some(100)]);
        let stopped = Restarts { stopped: true, ..Restarts::default() };
        let cancelled = Restarts { cancelled: true, ..Restarts::default() };
        let now = Timestamp::UNIX_EPOCH;
        assert!(Policy::Always.after_end(0, 0, now, &stopped).is_some());
        assert!(Policy::UnlessStopped.after_end(0, 0, now, &stopped).is_none());
        assert!(Policy::Always.after_end(0, 0, now, &cancelled).is_none());
    }

    #[test]
    fn a_daemon_that_starts_leaves_alone_what_a_user_stopped_unless_the_policy_is_always() {
        assert!(Policy::Always.at_boot(0, true));
        assert!(!Policy::UnlessStopped.at_boot(0, true) && Policy::UnlessStopped.at_boot(0, false));
        assert!(!Policy::OnFailure { most: 3 }.at_boot(0, false));
        assert!(Policy::OnFailure { most: 3 }.at_boot(1, false));
        assert!(!Policy::OnFailure { most: 3 }.at_boot(143, true) && !Policy::No.at_boot(1, false));
    }
}
