//! Stands between the daemon and a plugin worker, and copies everything that is handed to the plugin.
//!
//! It lies beside the real worker (`bindery-plugin-worker`) and a named pipe (`transcript`), is started in the worker's
//! place with the worker's descriptors, and gives the real worker a pipe of its own as descriptor 3. It writes to a pipe
//! because a worker may write no file.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::fd::FromRawFd,
    process::{Command, ExitCode, Stdio},
};

/// Where the daemon writes.
const INPUT: i32 = 3;

fn main() -> ExitCode {
    match copy() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn copy() -> io::Result<()> {
    let folder = std::env::current_exe()?
        .parent()
        .map(std::path::Path::to_owned)
        .unwrap_or_default();
    let mut transcript = OpenOptions::new()
        .write(true)
        .open(folder.join("transcript"))?;
    // The shell moves its standard input to descriptor 3, where the worker expects it.
    let mut worker = Command::new("/bin/sh")
        .args(["-c", "exec 3<&0 0</dev/null; exec \"$0\" \"$@\""])
        .arg(folder.join("bindery-plugin-worker"))
        .args(std::env::args_os().skip(1))
        .stdin(Stdio::piped())
        .spawn()?;
    let mut forward = worker.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut input = input();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = input.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        transcript.write_all(&buffer[..count])?;
        forward.write_all(&buffer[..count])?;
    }
    drop(forward);
    worker.wait()?;
    Ok(())
}

#[expect(unsafe_code, reason = "the daemon hands descriptor 3 over by number")]
fn input() -> File {
    // SAFETY: the daemon starts this program with descriptor 3 open, and nothing else here uses it.
    unsafe { File::from_raw_fd(INPUT) }
}
