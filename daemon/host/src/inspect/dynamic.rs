//! The dynamic table, as the loader reads it: by address, through the segments

use object::{
    elf,
    read::elf::{Dyn as _, ProgramHeader as _},
};

use super::{InspectError, LE, MAX_ENTRIES, Segment, of_type, shown};

/// All that a plugin may be linked with.
const ALLOWED: [&str; 8] = [
    "libc.so.6",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

/// No folders and no libraries of its own.
pub(super) fn check(segments: &[Segment], image: &[u8]) -> Result<(), InspectError> {
    let entries = entries(segments, image)?;
    if entries
        .iter()
        .any(|(tag, _)| matches!(*tag, elf::DT_RPATH | elf::DT_RUNPATH))
    {
        return Err(InspectError::RunPath);
    }
    let loads_more = |tag| {
        matches!(
            tag,
            elf::DT_FILTER | elf::DT_AUXILIARY | elf::DT_AUDIT | elf::DT_DEPAUDIT
        )
    };
    if entries.iter().any(|(tag, _)| loads_more(*tag)) {
        return Err(InspectError::Filter);
    }
    let mut strings = entries.iter().filter(|(tag, _)| *tag == elf::DT_STRTAB);
    // The loader takes the last one.
    let strings = strings
        .next_back()
        .and_then(|(_, address)| at(segments, image, *address))
        .unwrap_or_default();
    for (_, offset) in entries.iter().filter(|(tag, _)| *tag == elf::DT_NEEDED) {
        check_needed(strings, *offset)?;
    }
    Ok(())
}

fn check_needed(strings: &[u8], offset: u64) -> Result<(), InspectError> {
    let tail = usize::try_from(offset)
        .ok()
        .and_then(|offset| strings.get(offset..));
    let end = tail.and_then(|tail| tail.iter().position(|byte| *byte == 0));
    let (Some(tail), Some(end)) = (tail, end) else {
        return Err(InspectError::Damaged("dynamic table"));
    };
    let name = &tail[..end];
    let allowed = ALLOWED.iter().any(|allowed| allowed.as_bytes() == name);
    allowed
        .then_some(())
        .ok_or_else(|| InspectError::Needs(shown(name)))
}

/// Tags and values up to the end mark.
fn entries(segments: &[Segment], image: &[u8]) -> Result<Vec<(u32, u64)>, InspectError> {
    const DAMAGED: InspectError = InspectError::Damaged("dynamic table");
    let mut tables = of_type(segments, elf::PT_DYNAMIC);
    let table = tables.next().ok_or(DAMAGED)?;
    // The loader reads the one in memory; two tables, or one that is elsewhere in the file, could differ from it.
    let size = usize::try_from(table.p_filesz.get(LE)).map_err(|_| DAMAGED)?;
    let mapped = at(segments, image, table.p_vaddr.get(LE)).and_then(|bytes| bytes.get(..size));
    let in_file = table.data(LE, image).map_err(|()| DAMAGED)?;
    if tables.next().is_some() || mapped.is_none_or(|mapped| !std::ptr::eq(mapped, in_file)) {
        return Err(DAMAGED);
    }
    let entries = table.dynamic(LE, image).ok().flatten().ok_or(DAMAGED)?;
    let live = entries
        .iter()
        .take(MAX_ENTRIES)
        .take_while(|entry| entry.d_tag(LE) != u64::from(elf::DT_NULL));
    live.map(|entry| {
        Ok((
            u32::try_from(entry.d_tag(LE)).map_err(|_| DAMAGED)?,
            entry.d_val(LE),
        ))
    })
    .collect()
}

/// The bytes from an address to the end of its segment in the file.
fn at<'a>(segments: &[Segment], image: &'a [u8], address: u64) -> Option<&'a [u8]> {
    of_type(segments, elf::PT_LOAD).find_map(|segment| {
        let within = address.checked_sub(segment.p_vaddr.get(LE))?;
        let data = segment.data(LE, image).ok()?;
        data.get(usize::try_from(within).ok()?..)
            .filter(|rest| !rest.is_empty())
    })
}
