//! From what a container asks for to a size that Container Apps has.

use serde_json::{Value, json};
use sockerless_plugin_sdk::{
    Error, Result,
    jobs::{Container, Resources},
    plugin::Size,
};

use crate::limits;

/// The sizes of the Consumption profile: fixed pairs, from a quarter of a processor with 0.5 GiB to 4 with 8 GiB.
pub fn sizes() -> Vec<Size> {
    let size = |step| {
        let memory = u64::from(step) * limits::STEP.1 * limits::MIB;
        Size { cpu_millis: step * limits::STEP.0, memory_bytes: (memory, memory) }
    };
    (1..=limits::STEPS).map(size).collect()
}

/// `resources` of the containers of a replica: of each the smallest size that holds what it asks for. All together must have a
/// size that there is; where there are several, one that asks for nothing gets the smallest.
///
/// # Errors
/// `invalid-argument` when nothing is large enough.
pub fn of(containers: &[Container]) -> Result<Vec<Value>> {
    let usual = if containers.len() > 1 { 1 } else { limits::DEFAULT_STEPS };
    let steps = containers.iter().map(|container| step(container.resources, usual));
    let steps = steps.collect::<Result<Vec<u32>>>()?;
    let together: u32 = steps.iter().sum();
    if together > limits::STEPS {
        return Err(Error::invalid(format!(
            "the containers of a job have at most 4 processors and 8 GiB together on Container Apps, not {} and {} GiB",
            f64::from(together) / 4.0,
            f64::from(together) / 2.0
        )));
    }
    Ok(steps.into_iter().map(resources).collect())
}

/// `resources` of an init container. It runs before the others, in what those have [I: Kubernetes reserves the larger of the
/// two]; so one that asks for nothing gets the smallest.
///
/// # Errors
/// `invalid-argument` when nothing is large enough.
pub fn of_init(asked: &Container) -> Result<Value> {
    step(asked.resources, 1).map(resources)
}

fn resources(step: u32) -> Value {
    json!({
        "cpu": f64::from(step * limits::STEP.0) / 1000.0,
        // Two decimals, as Azure writes it: 0.5Gi, 1Gi, 1.5Gi.
        "memory": format!("{}Gi", f64::from(step) * 0.5),
    })
}

/// `usual` is for who asks for nothing.
fn step(asked: Resources, usual: u32) -> Result<u32> {
    if asked.cpu_millis.is_none() && asked.memory_bytes.is_none() {
        return Ok(usual);
    }
    let (millis, bytes) = (asked.cpu_millis.unwrap_or(0), asked.memory_bytes.unwrap_or(0));
    let by_cpu = millis.div_ceil(limits::STEP.0);
    let by_memory = u32::try_from(bytes.div_ceil(limits::STEP.1 * limits::MIB)).unwrap_or(u32::MAX);
    let step = by_cpu.max(by_memory).max(1);
    if step > limits::STEPS {
        return Err(Error::invalid(format!(
            "Container Apps has no size for {:.3} processors and {bytes} bytes of memory: at most 4 processors and 8 GiB",
            f64::from(millis) / 1000.0
        )));
    }
    Ok(step)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sockerless_plugin_sdk::ErrorCode;

    use super::*;
    use crate::testing::container;

    fn asked(cpu_millis: u32, mib: u64) -> Resources {
        Resources {
            cpu_millis: (cpu_millis > 0).then_some(cpu_millis),
            memory_bytes: (mib > 0).then_some(mib * limits::MIB),
        }
    }

    #[test]
    fn pairs_are_the_smallest_that_hold_both() {
        let pair = |cpu, mib| {
            let container = Container { resources: asked(cpu, mib), ..container() };
            let value = of(&[container]).unwrap().remove(0);
            (value["cpu"].as_f64().unwrap(), value["memory"].as_str().unwrap().to_owned())
        };
        assert_eq!(pair(0, 0), (0.5, "1Gi".into()));
        assert_eq!(pair(100, 0), (0.25, "0.5Gi".into()));
        assert_eq!(pair(250, 513), (0.5, "1Gi".into()));
        assert_eq!(pair(1500, 600), (1.5, "3Gi".into()));
        assert_eq!(pair(0, 1200), (0.75, "1.5Gi".into()));
        assert_eq!(pair(4000, 8192), (4.0, "8Gi".into()));
    }

    #[test]
    fn what_is_too_large_is_refused() {
        assert_eq!(step(asked(4001, 0), 2).unwrap_err().code, ErrorCode::InvalidArgument);
        assert!(step(asked(0, 8193), 2).is_err());
    }

    #[test]
    fn several_share_one_size_and_who_asks_for_nothing_gets_the_smallest() {
        let all = |asked: &[Resources]| {
            let containers: Vec<_> =
                asked.iter().map(|asked| Container { resources: *asked, ..container() }).collect();
            of(&containers)
                .map(|sizes| sizes.iter().map(|size| size["cpu"].as_f64().unwrap()).collect::<Vec<_>>())
        };
        assert_eq!(all(&[asked(0, 0), asked(1000, 0), asked(0, 1024)]).unwrap(), [0.25, 1.0, 0.5]);
        assert_eq!(all(&[asked(2000, 0), asked(0, 4096)]).unwrap(), [2.0, 2.0]);
        assert_eq!(all(&[asked(2000, 0), asked(0, 4097)]).unwrap_err().code, ErrorCode::InvalidArgument);
    }

    proptest! {
        #[test]
        fn a_size_holds_what_was_asked_for_and_is_one_that_exists(cpu in 0u32..=4000, mib in 0u64..=8192) {
            let asked = asked(cpu, mib);
            let step = step(asked, limits::DEFAULT_STEPS).unwrap();
            let size = sizes()[step as usize - 1];
            prop_assert!(size.cpu_millis >= cpu && size.memory_bytes.1 >= mib * limits::MIB);
            if step > 1 && (cpu, mib) != (0, 0) {
                let smaller = sizes()[step as usize - 2];
                prop_assert!(smaller.cpu_millis < cpu || smaller.memory_bytes.1 < mib * limits::MIB);
            }
        }
    }
}
