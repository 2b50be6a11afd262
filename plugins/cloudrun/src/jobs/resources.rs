//! From what a container asks for to a size that Cloud Run has.

use serde_json::{Value, json};
use sockerless_plugin_sdk::{Error, ErrorCode, Result, jobs::Resources};

use crate::limits;

/// The smallest size that holds what is asked for: processors and memory in MiB. None when
/// nothing is asked for: Cloud Run's default holds (1 processor, 512 MiB).
///
/// # Errors
/// `invalid-argument` when nothing is large enough.
pub fn size(asked: Resources, gpu: bool) -> Result<Option<(u32, u64)>> {
    let (mut millis, mut mib) =
        (asked.cpu_millis.unwrap_or(0), asked.memory_bytes.unwrap_or(0).div_ceil(limits::MIB));
    if millis == 0 && mib == 0 && !gpu {
        return Ok(None);
    }
    if gpu {
        millis = millis.max(limits::GPU_MIN.0 * 1000);
        mib = mib.max(limits::GPU_MIN.1);
    }
    let fits = |&&(cpus, _, most): &&(u32, u64, u64)| millis <= cpus * 1000 && mib <= most;
    let Some(&(cpus, least, _)) = limits::SIZES.iter().find(fits) else {
        return Err(Error::new(
            ErrorCode::InvalidArgument,
            format!(
                "Cloud Run has no size for {:.3} processors and {mib} MiB: at most 8 processors and 32 GiB",
                f64::from(millis) / 1000.0
            ),
        ));
    };
    Ok(Some((cpus, mib.max(least))))
}

/// The container's `resources`.
pub fn limits_of(size: (u32, u64), gpu: bool) -> Value {
    let mut limits = json!({"cpu": size.0.to_string(), "memory": format!("{}Mi", size.1)});
    if gpu {
        limits["nvidia.com/gpu"] = json!("1");
    }
    json!({"limits": limits})
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked(cpu_millis: u32, mib: u64) -> Resources {
        Resources {
            cpu_millis: (cpu_millis > 0).then_some(cpu_millis),
            memory_bytes: (mib > 0).then_some(mib * limits::MIB),
        }
    }

    #[test]
    fn sizes_are_rounded_up_to_those_that_exist() {
        let size = |cpu, mib| size(asked(cpu, mib), false).unwrap();
        assert_eq!(size(0, 0), None);
        assert_eq!(size(500, 0), Some((1, 512)));
        assert_eq!(size(0, 6), Some((1, 512)));
        assert_eq!(size(1500, 600), Some((2, 600)));
        assert_eq!(size(3000, 512), Some((4, 2048)));
        assert_eq!(size(8000, 0), Some((8, 4096)));
        assert_eq!(size(0, 4097), Some((2, 4097)));
        assert_eq!(size(1000, 32_768), Some((8, 32_768)));
    }

    #[test]
    fn half_a_mebibyte_is_rounded_up() {
        let asked = Resources { cpu_millis: None, memory_bytes: Some(600 * limits::MIB + 1) };
        assert_eq!(size(asked, false).unwrap(), Some((1, 601)));
    }

    #[test]
    fn a_gpu_brings_its_own_minimum() {
        assert_eq!(size(asked(0, 0), true).unwrap(), Some((4, 16_384)));
        assert_eq!(limits_of((4, 16_384), true)["limits"]["nvidia.com/gpu"], "1");
    }

    #[test]
    fn what_is_too_large_is_refused() {
        assert_eq!(size(asked(8001, 0), false).unwrap_err().code, ErrorCode::InvalidArgument);
        assert!(size(asked(0, 32_769), false).is_err());
    }

    proptest! {
        #[test]
        fn a_size_holds_what_was_asked_for(cpu in 0u32..=8000, mib in 0u64..=32_768) {
            if let Some((cpus, memory)) = size(asked(cpu, mib), false).unwrap() {
                prop_assert!(cpus * 1000 >= cpu && memory >= mib);
                prop_assert!([1, 2, 4, 8].contains(&cpus) && memory >= 512);
                prop_assert!(cpus < 4 || memory >= 2048);
                prop_assert!(cpus < 8 || memory >= 4096);
            }
        }
    }
}
