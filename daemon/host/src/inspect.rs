//! What can be known about a library without loading it
//!
//! `dlopen` runs constructors, so everything that is checked after it is checked too late. The checks are in the order
//! of the documented negotiation, and the first failure is the answer. What the loader acts on (segments, the dynamic
//! table) is read the way the loader reads it; section headers are trusted only where a lie ends in a failed load.

mod dynamic;

use bindery_plugin_abi::{ABI_MAJOR, NOTE_TYPE, TABLE_SYMBOL};
use object::{
    LittleEndian, elf,
    read::elf::{FileHeader as _, ProgramHeader as _, SectionTable, Sym as _},
};
use thiserror::Error;

use crate::text;

type Header = elf::FileHeader64<LittleEndian>;
type Segment = elf::ProgramHeader64<LittleEndian>;

const LE: LittleEndian = LittleEndian;

/// A shared library has about ten.
const MAX_SEGMENTS: usize = 64;

/// Bounds every walk over what the file itself links together.
const MAX_ENTRIES: usize = 10_000;

#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = elf::EM_X86_64;
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = elf::EM_AARCH64;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const MACHINE: u16 = elf::EM_NONE;

/// What a file says about itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Inspected {
    /// Version of the boundary that it was built for.
    pub abi: (u32, u32),
    /// Flags of its note.
    pub flags: u32,
    /// Lowest glibc that it runs with.
    pub glibc: Option<(u32, u32)>,
}

/// Why a file is no plugin for this machine.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum InspectError {
    /// Not ELF, or 32 bits, or big endian.
    #[error("it is not a 64-bit little-endian ELF file; is it a shared library for Linux?")]
    NotElf64,
    /// For another processor.
    #[error("it is built for another processor (machine {0}); install the build for this one")]
    WrongMachine(u16),
    /// A program or an object file.
    #[error("it is not a shared library (type {0}); build it as a cdylib or with -shared")]
    NotShared(u16),
    /// A position-independent program.
    #[error("it asks for an interpreter, so it is a program; build it as a cdylib or with -shared")]
    Program,
    /// Cut off.
    #[error("it is cut off: a part that would be loaded lies outside the file; install it again")]
    Truncated,
    /// A structure makes no sense.
    #[error("its {0} is damaged; install it again")]
    Damaged(&'static str),
    /// No note.
    #[error("it has no Bindery note; build it with the SDK or the header")]
    NoNote,
    /// Another boundary.
    #[error(
        "it was built for version {0} of the plugin boundary and this daemon speaks version {ABI_MAJOR}; rebuild it with a matching SDK"
    )]
    WrongMajor(u32),
    /// No table.
    #[error("it does not export {}; build it with the SDK or the header", TABLE_SYMBOL.to_string_lossy())]
    NoSymbol,
    /// Executable stack.
    #[error("it asks for an executable stack; link it with -z noexecstack")]
    ExecutableStack,
    /// Looks for libraries in folders of its own.
    #[error("it has an RPATH or RUNPATH; link it without one")]
    RunPath,
    /// Wants another library.
    #[error("it needs {0}, and only the C library and its parts are allowed; link it statically")]
    Needs(String),
    /// Loads other libraries by another way than the list of needed ones.
    #[error("it names an auditing, filter or auxiliary library, which is not allowed")]
    Filter,
    /// Needs a newer C library.
    #[error("it needs glibc {}.{} and this system has {}.{}; build it against an older glibc", .needs.0, .needs.1, .has.0, .has.1)]
    Glibc {
        /// What it needs.
        needs: (u32, u32),
        /// What is here.
        has: (u32, u32),
    },
    /// Bound to one build of the C library.
    #[error("it uses private parts of glibc; rebuild it")]
    GlibcPrivate,
}

/// Looks at the bytes of a library. `glibc` is the version that runs here, where it is known. Never panics.
///
/// # Errors
///
/// The first check that fails.
pub fn inspect(image: &[u8], glibc: Option<(u32, u32)>) -> Result<Inspected, InspectError> {
    let header = Header::parse(image).map_err(|_| InspectError::NotElf64)?;
    if !header.is_little_endian() {
        return Err(InspectError::NotElf64);
    }
    check_kind(header)?;
    let segments = segments(header, image)?;
    check_segments(segments, image)?;
    let note = note(segments, image)?;
    let sections = header
        .sections(LE, image)
        .map_err(|_| InspectError::Damaged("section table"))?;
    check_symbol(&sections, image)?;
    check_stack(segments)?;
    dynamic::check(segments, image)?;
    let needs = needed_glibc(&sections, image)?;
    match (needs, glibc) {
        (Some(needs), Some(has)) if needs > has => Err(InspectError::Glibc { needs, has }),
        _ => Ok(Inspected {
            abi: (note.0, note.1),
            flags: note.2,
            glibc: needs,
        }),
    }
}

fn check_kind(header: &Header) -> Result<(), InspectError> {
    let machine = header.e_machine.get(LE);
    if machine != MACHINE {
        return Err(InspectError::WrongMachine(machine));
    }
    match header.e_type.get(LE) {
        elf::ET_DYN => Ok(()),
        other => Err(InspectError::NotShared(other)),
    }
}

fn segments<'a>(header: &Header, image: &'a [u8]) -> Result<&'a [Segment], InspectError> {
    let segments = header
        .program_headers(LE, image)
        .map_err(|_| InspectError::Truncated)?;
    match segments.len() {
        0 => Err(InspectError::Damaged("program header")),
        n if n > MAX_SEGMENTS => Err(InspectError::Damaged("program header")),
        _ => Ok(segments),
    }
}

/// A mapping behind the end of the file is a bus error later.
fn check_segments(segments: &[Segment], image: &[u8]) -> Result<(), InspectError> {
    if of_type(segments, elf::PT_INTERP).next().is_some() {
        return Err(InspectError::Program);
    }
    let mut after = 0;
    for segment in of_type(segments, elf::PT_LOAD) {
        let (start, length) = (segment.p_vaddr.get(LE), segment.p_memsz.get(LE));
        // Where two segments overlap, the loader sees the later one.
        if start < after {
            return Err(InspectError::Damaged("program header"));
        }
        after = start
            .checked_add(length)
            .ok_or(InspectError::Damaged("program header"))?;
        let (offset, size) = segment.file_range(LE);
        let inside = offset
            .checked_add(size)
            .is_some_and(|end| end <= image.len() as u64);
        if !inside || size > length {
            return Err(InspectError::Truncated);
        }
    }
    Ok(())
}

/// Major, minor and flags. The note is looked for in the segments, since a section table may be stripped.
fn note(segments: &[Segment], image: &[u8]) -> Result<(u32, u32, u32), InspectError> {
    let damaged = |_| InspectError::Damaged("note");
    for segment in of_type(segments, elf::PT_NOTE) {
        let Some(mut notes) = segment.notes(LE, image).map_err(damaged)? else {
            continue;
        };
        for _ in 0..MAX_ENTRIES {
            let Some(note) = notes.next().map_err(damaged)? else {
                break;
            };
            if note.name() == b"Bindery" && note.n_type(LE) == NOTE_TYPE {
                return version_of(note.desc());
            }
        }
    }
    Err(InspectError::NoNote)
}

fn version_of(desc: &[u8]) -> Result<(u32, u32, u32), InspectError> {
    let word = |at: usize| {
        desc.get(at..at + 4)
            .and_then(|bytes| bytes.try_into().ok())
            .map(u32::from_le_bytes)
    };
    let (Some(major), Some(minor), Some(flags), Some(_)) = (word(0), word(4), word(8), word(12))
    else {
        return Err(InspectError::Damaged("note"));
    };
    if major == ABI_MAJOR {
        Ok((major, minor, flags))
    } else {
        Err(InspectError::WrongMajor(major))
    }
}

fn check_symbol(sections: &SectionTable<'_, Header>, image: &[u8]) -> Result<(), InspectError> {
    let damaged = |_| InspectError::Damaged("symbol table");
    let symbols = sections
        .symbols(LE, image, elf::SHT_DYNSYM)
        .map_err(damaged)?;
    let wanted = TABLE_SYMBOL.to_bytes();
    let exported = symbols.iter().any(|symbol| {
        symbol.name(LE, symbols.strings()) == Ok(wanted)
            && symbol.is_definition(LE)
            && symbol.st_bind() != elf::STB_LOCAL
            && symbol.st_type() == elf::STT_OBJECT
    });
    exported.then_some(()).ok_or(InspectError::NoSymbol)
}

/// The loader makes the stack executable also where nothing is said about it.
fn check_stack(segments: &[Segment]) -> Result<(), InspectError> {
    let mut stacks = of_type(segments, elf::PT_GNU_STACK).peekable();
    let stated = stacks.peek().is_some();
    if stated && stacks.all(|stack| stack.p_flags.get(LE) & elf::PF_X == 0) {
        return Ok(());
    }
    Err(InspectError::ExecutableStack)
}

fn needed_glibc(
    sections: &SectionTable<'_, Header>,
    image: &[u8],
) -> Result<Option<(u32, u32)>, InspectError> {
    let damaged = |_| InspectError::Damaged("version table");
    let Some((mut files, strings)) = sections.gnu_verneed(LE, image).map_err(damaged)? else {
        return Ok(None);
    };
    let strings = sections.strings(LE, image, strings).map_err(damaged)?;
    let (mut highest, mut seen) = (None, 0);
    while let Some((_, mut versions)) = files.next().map_err(damaged)? {
        while let Some(version) = versions.next().map_err(damaged)? {
            seen += 1;
            if seen > MAX_ENTRIES {
                return Err(InspectError::Damaged("version table"));
            }
            highest = highest.max(glibc_version(version.name(LE, strings).map_err(damaged)?)?);
        }
    }
    Ok(highest)
}

/// `GLIBC_2.34`; other names (of libgcc, of features) say nothing about the version.
fn glibc_version(name: &[u8]) -> Result<Option<(u32, u32)>, InspectError> {
    let Some(version) = name.strip_prefix(b"GLIBC_") else {
        return Ok(None);
    };
    if version == b"PRIVATE" {
        return Err(InspectError::GlibcPrivate);
    }
    let text = std::str::from_utf8(version).unwrap_or_default();
    Ok(parse_glibc(text))
}

/// Major and minor of `2.36` or `2.2.5`.
pub(crate) fn parse_glibc(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn of_type(segments: &[Segment], kind: u32) -> impl Iterator<Item = &Segment> {
    segments
        .iter()
        .filter(move |segment| segment.p_type.get(LE) == kind)
}

/// A name out of the file, for an error.
fn shown(name: &[u8]) -> String {
    text::clean_bytes(name, 128)
}
