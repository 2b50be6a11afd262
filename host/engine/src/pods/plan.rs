//! Who gets a place in a job: a pure function.

use sockerless_ports::{backend::Limits, link::RunId};

use crate::tuning;

/// A container that could be in a pod's job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    /// What its agent there would do first.
    pub run: RunId,
    /// Thousandths of a processor that its container gets.
    pub cpu_millis: u32,
    /// Bytes that its container gets.
    pub memory_bytes: u64,
}

/// The members of a job, the one that is being started first; then those that have no place, and why.
pub(super) type Plan = (Vec<Candidate>, Vec<(Candidate, String)>);

/// Containers of a job count against the size of one instance together.
pub(super) fn choose(first: Candidate, others: Vec<Candidate>, limits: &Limits) -> Plan {
    let (mut cpu, mut memory) = (first.cpu_millis, first.memory_bytes);
    let (mut members, mut left) = (vec![first], Vec::new());
    for other in others {
        let with_cpu = cpu.saturating_add(other.cpu_millis);
        let with_memory = memory.saturating_add(other.memory_bytes);
        let why = if members.len() >= tuning::POD_MEMBERS {
            format!("a job has at most {} containers", tuning::POD_MEMBERS)
        } else if with_cpu > limits.cpu_millis.1 {
            format!("the containers of a job have {} processors together at most", limits.cpu_millis.1 / 1000)
        } else if with_memory > limits.memory_bytes.1 {
            format!("the containers of a job have {} bytes of memory together at most", limits.memory_bytes.1)
        } else {
            (cpu, memory) = (with_cpu, with_memory);
            members.push(other);
            continue;
        };
        left.push((other, why));
    }
    (members, left)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits {
        max_timeout_seconds: 60,
        cpu_millis: (1000, 8000),
        memory_bytes: (512 << 20, 32 << 30),
        stop_grace_seconds: 10,
        max_env: 10,
    };

    fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
        prop::collection::vec((1000_u32..=8000, (512_u64 << 20)..=(32_u64 << 30)), 1..20).prop_map(|sizes| {
            let candidate = |(index, (cpu_millis, memory_bytes))| Candidate {
                run: RunId { container: format!("c{index}"), generation: 1 },
                cpu_millis,
                memory_bytes,
            };
            sizes.into_iter().enumerate().map(candidate).collect()
        })
    }

    proptest! {
        #[test]
        fn the_first_has_a_place_all_fit_together_and_nobody_is_forgotten(all in candidates()) {
            let first = all[0].clone();
            let (members, left) = choose(first.clone(), all[1..].to_vec(), &LIMITS);
            prop_assert_eq!(&members[0], &first);
            prop_assert!(members.len() <= tuning::POD_MEMBERS);
            if members.len() > 1 {
                prop_assert!(members.iter().map(|member| member.cpu_millis).sum::<u32>() <= LIMITS.cpu_millis.1);
                prop_assert!(members.iter().map(|member| member.memory_bytes).sum::<u64>() <= LIMITS.memory_bytes.1);
            }
            prop_assert_eq!(members.len() + left.len(), all.len());
            prop_assert!(left.iter().all(|(_, why)| !why.is_empty()));
        }
    }
}
