//! What the process denies itself before it reads a file, an argument or a key.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::{failure::Failure, panics};

/// L2, L3, L8: no core dump, no look into this process by others of the same user, no values in panics, and no privileges by a
/// program that it starts. The limit alone does not stop a dump that goes to a pipe; not being dumpable does.
pub(crate) fn close() -> Result<(), Failure> {
    panics::hide_values();
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )?;
    Ok(rustix::thread::set_no_new_privs(true)?)
}
