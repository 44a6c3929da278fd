//! Processor time, as the kernel counts it: in hundredths of a second.

use anyhow::{Context, Result};

/// Length of the kernel's unit. It is the same on every Linux that we build for.
const TICK: f64 = 0.01;

/// Seconds that a process and its threads have used.
pub(crate) fn of_process(id: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name, in parentheses, may hold anything.
    let (_, rest) = stat.rsplit_once(')').context("no process name")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<f64>().ok())
    };
    let (user, system) = (field(11), field(12));
    Ok((user.context("no user time")? + system.context("no system time")?) * TICK)
}

/// Seconds that all processors were busy, and those that there were.
pub(crate) fn of_machine() -> Result<(f64, f64)> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let first = stat.lines().next().context("no line for all processors")?;
    let fields: Vec<f64> = first
        .split_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|field| field.parse().ok())
        .collect();
    let all: f64 = fields.iter().sum();
    // Idle, and waiting for disks.
    let idle: f64 = fields.iter().skip(3).take(2).sum();
    Ok(((all - idle) * TICK, all * TICK))
}
