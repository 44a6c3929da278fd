//! What the disk takes for the least that durability needs.

use std::{fs::File, io::Write, path::Path, time::Instant};

use anyhow::Result;
use hdrhistogram::Histogram;

const WRITES: usize = 100;
const BYTES: usize = 8 << 10;

/// How long it takes to append 8 KiB and have them on the disk.
pub(crate) fn about(folder: &Path) -> Result<String> {
    let mut file = File::create(folder.join("disk"))?;
    let mut times = Histogram::<u64>::new(3)?;
    for _ in 0..WRITES {
        let began = Instant::now();
        file.write_all(&[b'x'; BYTES])?;
        file.sync_data()?;
        times.record(u64::try_from(began.elapsed().as_micros())?)?;
    }
    Ok(format!(
        "8 KiB appended and synced: {} µs at the median, {} µs at the 99th percentile",
        times.value_at_quantile(0.5),
        times.value_at_quantile(0.99),
    ))
}
