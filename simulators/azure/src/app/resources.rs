//! Processor and memory.

use serde_json::Value;

use crate::error::{ArmError, Result};
use crate::limits;

/// Thousandths of a processor.
pub fn millis(cpu: &Value) -> Option<u32> {
    let cpu = cpu.as_f64()?;
    // A processor has at most four digits behind the point here; the cast holds below 2^32.
    (0.0..1e6).contains(&cpu).then(|| (cpu * 1_000.0).round() as u32)
}

/// Bytes of a quantity: `0.5Gi`, `512Mi`.
pub fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = match text.strip_suffix("Gi") {
        Some(number) => (number, 30),
        None => (text.strip_suffix("Mi")?, 20),
    };
    let number: f64 = number.parse().ok()?;
    (0.0..1e6).contains(&number).then(|| (number * f64::from(1_u32 << unit)).round() as u64)
}

/// The disk that comes with so much processor.
pub fn ephemeral(cpu_millis: u32) -> &'static str {
    match cpu_millis {
        0..=250 => "1Gi",
        251..=500 => "2Gi",
        501..=1_000 => "4Gi",
        _ => "8Gi",
    }
}

/// Processor and memory of a replica come in fixed pairs.
///
/// # Errors
/// 400 that lists them.
pub fn pair((cpu, memory): (u32, u64)) -> Result<()> {
    let wanted = u64::from(cpu) * limits::MEMORY_PER_CPU / 1_000;
    if cpu.is_multiple_of(limits::CPU_STEP)
        && (limits::CPU_STEP..=limits::CPU_MOST).contains(&cpu)
        && memory == wanted
    {
        return Ok(());
    }
    let pairs: Vec<String> = (1..=limits::CPU_MOST / limits::CPU_STEP)
        .map(|step| format!("[cpu: {}, memory: {}Gi]", f64::from(step) / 4.0, f64::from(step) / 2.0))
        .collect();
    Err(ArmError::bad(
        "ContainerAppInvalidResourceTotal",
        format!(
            "The total requested CPU and memory resources for this application (CPU: {}, memory: {}Gi) is invalid. Total CPU and \
             memory for all containers defined in a Container App must add up to one of the following CPU - Memory combinations: \
             {}",
            f64::from(cpu) / 1_000.0,
            memory as f64 / f64::from(1 << 30),
            pairs.join("; ")
        ),
    ))
}

/// What a replica holds, thousandths of a processor.
pub fn cpu_millis(template: &Value) -> u32 {
    let containers = template["containers"].as_array().into_iter().flatten();
    containers.filter_map(|container| millis(&container["resources"]["cpu"])).fold(0, u32::saturating_add)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn processor_and_memory_come_in_pairs() {
        let of = |cpu: f64, memory: &str| pair((millis(&json!(cpu)).unwrap(), bytes(memory).unwrap()));
        for (cpu, memory) in [(0.25, "0.5Gi"), (0.5, "1Gi"), (0.75, "1.5Gi"), (1.0, "2048Mi"), (4.0, "8Gi")] {
            assert!(of(cpu, memory).is_ok(), "{cpu} {memory}");
        }
        for (cpu, memory) in [(0.25, "1Gi"), (0.3, "0.6Gi"), (4.25, "8.5Gi"), (1.0, "4Gi")] {
            assert_eq!(
                of(cpu, memory).unwrap_err().code,
                "ContainerAppInvalidResourceTotal",
                "{cpu} {memory}"
            );
        }
        assert_eq!((bytes("1G"), bytes("x"), millis(&json!(-1))), (None, None, None));
    }
}
