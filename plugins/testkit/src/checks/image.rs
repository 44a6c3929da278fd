//! What the file says about itself

use bindery_host::manual;
use bindery_plugin_abi::TABLE_SYMBOL;
use object::{Object as _, read::elf::ElfFile64};

use super::verdict;
use crate::{Report, Subject};

/// A plugin that does nothing but its work imports none of these. Raw system calls can't be seen here; the worker
/// stops those.
const FORBIDDEN: &[&str] = &[
    "accept",
    "accept4",
    "bind",
    "clone",
    "connect",
    "dlmopen",
    "dlopen",
    "execl",
    "execle",
    "execlp",
    "execv",
    "execve",
    "execveat",
    "execvp",
    "execvpe",
    "fexecve",
    "fork",
    "getaddrinfo",
    "gethostbyname",
    "kill",
    "listen",
    "mount",
    "popen",
    "posix_spawn",
    "posix_spawnp",
    "process_vm_readv",
    "process_vm_writev",
    "pthread_create",
    "ptrace",
    "recvfrom",
    "recvmsg",
    "sendmsg",
    "sendto",
    "socket",
    "socketpair",
    "system",
    "thrd_create",
    "unshare",
    "vfork",
];

pub(super) fn check(subject: &Subject, report: &mut Report) {
    let library = subject.library.as_slice();
    let inspected = manual::inspect(library).map_err(|error| error.to_string());
    let seen = inspected.map(|seen| match seen.glibc {
        Some((major, minor)) => format!("needs glibc {major}.{minor}"),
        None => "needs no versioned glibc".to_owned(),
    });
    report.add("image", "is admitted", seen);
    report.add("image", "is the one in the manifest", artifact(subject));
    match ElfFile64::<object::Endianness>::parse(library) {
        Ok(file) => {
            report.add("image", "exports the table alone", exports(&file));
            report.add("image", "imports nothing that leads out", imports(&file));
        }
        Err(error) => {
            report.add(
                "image",
                "has symbol tables",
                Err::<&str, _>(error.to_string()),
            );
        }
    }
}

/// A manifest without artefacts is the source of one.
fn artifact(subject: &Subject) -> Result<String, String> {
    let Some(listed) = &subject.manifest.artifact else {
        return Ok("the manifest lists no library yet".to_owned());
    };
    let actual = bindery_host::Digest::of(&subject.library);
    if listed.sha256 == actual && listed.size == subject.library.len() as u64 {
        return Ok(String::new());
    }
    Err(format!(
        "the manifest lists sha256:{}, and the library has sha256:{actual}; package it again",
        listed.sha256
    ))
}

fn exports(file: &ElfFile64<'_>) -> Result<String, String> {
    let exports = file.exports().map_err(|error| error.to_string())?;
    let others = exports
        .iter()
        .map(object::Export::name)
        .filter(|name| *name != TABLE_SYMBOL.to_bytes())
        .map(|name| format!("it exports {}", String::from_utf8_lossy(name)));
    verdict(&others.collect::<Vec<_>>())
}

fn imports(file: &ElfFile64<'_>) -> Result<String, String> {
    let imports = file.imports().map_err(|error| error.to_string())?;
    let forbidden = imports.iter().filter_map(|import| {
        let name = std::str::from_utf8(import.name()).ok()?;
        FORBIDDEN
            .contains(&name)
            .then(|| format!("it imports {name}"))
    });
    verdict(&forbidden.collect::<Vec<_>>())
}
