//! Ways out of the process
//!
//! The sandbox either refuses a call, which is an error here, or kills the process. A call that succeeds has escaped.

#![expect(
    unsafe_code,
    reason = "system calls that no library would make on purpose"
)]

use std::{env, fs, io, io::Write as _, net, os::fd::FromRawFd as _, os::unix, ptr, thread};

use bindery_plugin_sdk::{Cx, Result, abi::frame};

use super::{escaped, refused};

pub(super) fn run(cx: &Cx, name: &str) -> Result<bool> {
    if quiet(name) {
        return Ok(true);
    }
    let path = cx.setting("attack_path").unwrap_or("/var/lib/bindery");
    let Some(outcome) = files(name, path)
        .or_else(|| network(name))
        .or_else(|| kernel(name))
    else {
        return Ok(false);
    };
    Err(match outcome {
        Ok(()) => escaped(name),
        Err(error) => refused(error),
    })
}

/// What is allowed, and does no harm, or harms its author alone.
fn quiet(name: &str) -> bool {
    match name {
        "wire_junk" => write(frame::FD_OUT, b"junk that is no frame at all"),
        "wire_forge" => write(frame::FD_OUT, &forged()),
        "wire_read" => read_wire(),
        "stderr_flood" => (0..1000).for_each(|_| write(2, &[b'x'; 1024])),
        "print" => println!("printed on purpose"),
        "sleep" => thread::sleep(std::time::Duration::from_secs(3600)),
        _ => return false,
    }
    true
}

fn files(name: &str, path: &str) -> Option<io::Result<()>> {
    let done = |result: io::Result<Vec<u8>>| result.map(drop);
    Some(match name {
        "open_passwd" => done(fs::read("/etc/passwd")),
        "open_environ" => done(fs::read("/proc/self/environ")),
        "open_parent_memory" => done(fs::read("/proc/1/mem")),
        "open_state" => fs::read_dir(path)
            .map(drop)
            .and_then(|()| done(fs::read(path))),
        "write_file" => fs::write("/tmp/bindery-hostile", b"x"),
        "delete_file" => fs::remove_file("/tmp/bindery-hostile"),
        "environment" => match env::vars_os().next() {
            Some(_) => Ok(()),
            None => Err(io::Error::other("the environment is empty")),
        },
        "load_library" => load_library(),
        _ => return None,
    })
}

fn load_library() -> io::Result<()> {
    // SAFETY: the name ends with a zero; a library that loads stays.
    let library = unsafe {
        libc::dlopen(
            c"/lib/x86_64-linux-gnu/libnsl.so.1".as_ptr(),
            libc::RTLD_NOW,
        )
    };
    if library.is_null() {
        Err(io::Error::other("the library can't be loaded"))
    } else {
        Ok(())
    }
}

fn network(name: &str) -> Option<io::Result<()>> {
    Some(match name {
        "socket_tcp" => net::TcpStream::connect("127.0.0.1:80").map(drop),
        "socket_listen" => net::TcpListener::bind("127.0.0.1:0").map(drop),
        "socket_udp" => net::UdpSocket::bind("0.0.0.0:0").map(drop),
        "socket_unix" => unix::net::UnixStream::connect("/run/bindery/bindery.sock").map(drop),
        "socket_pair" => unix::net::UnixStream::pair().map(drop),
        _ => return None,
    })
}

/// The result of a call that gives -1 on error.
fn call(result: impl Into<i64>) -> io::Result<()> {
    if result.into() == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

fn kernel(name: &str) -> Option<io::Result<()>> {
    Some(match name {
        "thread" => thread::Builder::new().spawn(|| ()).map(drop),
        // SAFETY: a child would do nothing that its copy of the memory does not allow.
        "fork" => call(unsafe { libc::fork() }),
        "exec" => exec(),
        // SAFETY: plain numbers. The mildest request: the filter does not look at it, and nobody is harmed without one.
        "ptrace" => call(unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) }),
        // SAFETY: plain numbers. No signal, only the question whether one could be sent, for the same reason.
        "kill" => call(unsafe { libc::kill(1, 0) }),
        "read_parent" => read_parent(),
        "memory_wx" => map(libc::PROT_WRITE | libc::PROT_EXEC).map(drop),
        "memory_exec_later" => executable_later(),
        // SAFETY: the name ends with a zero.
        "memfd" => call(unsafe { libc::memfd_create(c"x".as_ptr(), 0) }),
        // SAFETY: plain numbers; without a structure the kernel only says what is wrong.
        "io_uring" => call(unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, 0) }),
        // SAFETY: a plain number.
        "unshare" => call(unsafe { libc::unshare(libc::CLONE_NEWUSER) }),
        // SAFETY: a plain number.
        "setuid" => call(unsafe { libc::setuid(0) }),
        "raise_limit" => raise_limit(),
        // SAFETY: nothing else of this process uses the descriptor, which is the worker's.
        "close_wire" => call(unsafe { libc::close(frame::FD_OUT) }),
        // SAFETY: plain numbers.
        "undumpable" => call(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) }),
        _ => return None,
    })
}

fn exec() -> io::Result<()> {
    let arguments = [c"/bin/true".as_ptr(), ptr::null()];
    // SAFETY: both arrays end with a null pointer, and the name with a zero.
    call(unsafe { libc::execve(arguments[0], arguments.as_ptr(), [ptr::null()].as_ptr()) })
}

fn read_parent() -> io::Result<()> {
    let mut here = [0_u8; 8];
    let local = libc::iovec {
        iov_base: here.as_mut_ptr().cast(),
        iov_len: here.len(),
    };
    let remote = libc::iovec {
        iov_base: ptr::without_provenance_mut(0x1000),
        iov_len: here.len(),
    };
    // SAFETY: the local buffer is as long as it says; the other one is in another process.
    call(
        i64::try_from(unsafe { libc::process_vm_readv(1, &local, 1, &remote, 1, 0) }).unwrap_or(-1),
    )
}

fn map(protection: i32) -> io::Result<*mut libc::c_void> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping at a place that the kernel chooses.
    let place = unsafe { libc::mmap(ptr::null_mut(), 4096, protection, flags, -1, 0) };
    if place == libc::MAP_FAILED {
        Err(io::Error::last_os_error())
    } else {
        Ok(place)
    }
}

fn executable_later() -> io::Result<()> {
    let place = map(libc::PROT_READ | libc::PROT_WRITE)?;
    // SAFETY: the mapping is this function's own and of this length.
    call(unsafe { libc::mprotect(place, 4096, libc::PROT_READ | libc::PROT_EXEC) })
}

fn raise_limit() -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the structure lives during the call.
    call(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) })
}

/// Writes past the worker, whose descriptor it stays.
fn write(fd: i32, bytes: &[u8]) {
    // SAFETY: the descriptor is open as long as the worker lives, and is not closed here.
    let file = unsafe { fs::File::from_raw_fd(fd) };
    // What the sandbox or the pipe does not take is lost.
    let _ = (&file).write_all(bytes);
    std::mem::forget(file);
}

/// A READY that nobody asked for.
fn forged() -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(4_u32.to_le_bytes());
    out.extend((frame::Kind::Ready as u32).to_le_bytes());
    out.extend([0; 16]);
    out.extend(1_u32.to_le_bytes());
    out
}

/// Waits for a request that is not for this operation.
fn read_wire() {
    let mut bytes = [0_u8; 24];
    // SAFETY: the buffer is as long as it says.
    unsafe { libc::read(frame::FD_IN, bytes.as_mut_ptr().cast(), bytes.len()) };
}
