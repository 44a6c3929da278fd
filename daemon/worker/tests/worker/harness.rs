//! Builds images from C and drives the worker's binary by hand

#![expect(
    unsafe_code,
    reason = "hands descriptors to a child and takes calls away from it"
)]

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
        unix::{net::UnixStream, process::CommandExt as _, process::ExitStatusExt as _},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    ptr,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use bindery_plugin_abi::{
    OK,
    frame::{FD_IMAGE, FD_IN, FD_OUT, Frame, HEADER_LEN, Header, Isolation, Kind, Landlock},
    limits,
};
use libc::{c_int, c_long, sock_filter};

/// How a worker ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    Status(i32),
    Signal(i32),
}

/// A frame that a worker sent.
pub(crate) struct Reply {
    pub(crate) kind: Kind,
    pub(crate) handle: u64,
    pub(crate) status: i32,
    body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("text")
    }
}

/// A running worker and this end of its wire.
pub(crate) struct Worker {
    child: Child,
    wire: UnixStream,
}

impl Worker {
    pub(crate) fn spawn(image: &[u8]) -> Self {
        Self::spawn_with(image, &[], Vec::new())
    }

    /// A worker under a filter of the test's own, with other arguments.
    pub(crate) fn spawn_with(image: &[u8], args: &[&str], mut filter: Vec<sock_filter>) -> Self {
        let (wire, theirs) = UnixStream::pair().expect("a socket pair");
        let (theirs, image) = (OwnedFd::from(theirs), OwnedFd::from(sealed(image)));
        let mut command = Command::new(env!("CARGO_BIN_EXE_bindery-plugin-worker"));
        command.args(args).env_clear().current_dir("/");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let (wire_fd, image_fd) = (theirs.as_raw_fd(), image.as_raw_fd());
        // SAFETY: the closure calls functions that are allowed between fork and exec, and allocates nothing.
        unsafe { command.pre_exec(move || before_exec(wire_fd, image_fd, &mut filter)) };
        let child = command.spawn().expect("the worker starts");
        Self { child, wire }
    }

    /// A worker that has said that it is ready.
    pub(crate) fn ready(image: &[u8]) -> Self {
        let mut worker = Self::spawn(image);
        worker.receive_ready();
        worker
    }

    pub(crate) fn receive_ready(&mut self) -> (Isolation, Vec<u8>) {
        let ready = self.receive().expect("a frame");
        assert_eq!(
            ready.kind,
            Kind::Ready,
            "{}",
            String::from_utf8_lossy(&ready.body)
        );
        assert_eq!((ready.handle, ready.status), (0, OK));
        let (isolation, description) = Isolation::decode(&ready.body).expect("a preamble");
        (isolation, description.to_vec())
    }

    pub(crate) fn call(&mut self, kind: Kind, handle: u64, body: &[u8]) -> Reply {
        self.send(kind, handle, body);
        self.receive().expect("a frame")
    }

    pub(crate) fn send(&mut self, kind: Kind, handle: u64, body: &[u8]) {
        let mut bytes = Vec::new();
        Frame {
            kind,
            handle,
            status: OK,
            body,
        }
        .encode(&mut bytes)
        .expect("a short body");
        self.send_raw(&bytes);
    }

    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        self.wire.write_all(bytes).expect("the worker reads");
    }

    /// The next frame. None if the worker closed its end instead.
    pub(crate) fn receive(&mut self) -> Option<Reply> {
        let mut bytes = [0; HEADER_LEN];
        self.wire.read_exact(&mut bytes).ok()?;
        let header = Header::decode(&bytes, limits::STEP_LEN_HARD).expect("a frame");
        let mut body = vec![0; header.len as usize];
        self.wire.read_exact(&mut body).expect("the whole frame");
        Some(Reply {
            kind: header.kind,
            handle: header.handle,
            status: header.status,
            body,
        })
    }

    pub(crate) fn hang_up(&mut self) {
        self.wire
            .shutdown(std::net::Shutdown::Write)
            .expect("an open socket");
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("a running worker");
    }

    /// Waits for the end, which comes without a further frame.
    pub(crate) fn end(&mut self) -> End {
        assert!(self.receive().is_none(), "a frame where none should be");
        let status = self.child.wait().expect("a child");
        match (status.code(), status.signal()) {
            (Some(code), _) => End::Status(code),
            (None, Some(signal)) => End::Signal(signal),
            (None, None) => panic!("neither exit status nor signal: {status}"),
        }
    }

    /// What the worker and its plugin wrote for people.
    pub(crate) fn stderr(&mut self) -> String {
        let mut text = String::new();
        let pipe = self.child.stderr.as_mut().expect("a pipe");
        pipe.read_to_string(&mut text).expect("text");
        text
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Both fail for a worker that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The plugin of these tests as it is, compiled once.
pub(crate) fn good() -> &'static [u8] {
    static IMAGE: OnceLock<Vec<u8>> = OnceLock::new();
    IMAGE.get_or_init(|| image("good", &[]))
}

/// The plugin of these tests, compiled with some macros defined.
pub(crate) fn image(name: &str, defines: &[&str]) -> Vec<u8> {
    image_with(name, defines, &["-pthread"])
}

/// The same, with other arguments for the linker.
pub(crate) fn image_with(name: &str, defines: &[&str], link: &[&str]) -> Vec<u8> {
    static BUILDS: AtomicUsize = AtomicUsize::new(0);
    let build = BUILDS.fetch_add(1, Ordering::Relaxed);
    let out = folder().join(format!("{name}-{}-{build}.so", std::process::id()));
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let done = Command::new("cc")
        .args([
            "-std=gnu11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-fPIC",
            "-shared",
            "-I",
        ])
        .arg(here.join("../../plugins/abi/include"))
        .args(defines.iter().map(|define| format!("-D{define}")))
        .arg("-o")
        .args([&out, &here.join("tests/plugins/plugin.c")])
        .args(link)
        .output()
        .expect("a C compiler called cc is on the path");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let bytes = fs::read(&out).expect("the compiler wrote it");
    fs::remove_file(&out).expect("it is still there");
    bytes
}

/// Where these tests may write.
pub(crate) fn folder() -> PathBuf {
    env!("CARGO_TARGET_TMPDIR").into()
}

/// A filter under which these calls do not exist, as on a kernel without them.
pub(crate) fn hidden(calls: &[c_long]) -> Vec<sock_filter> {
    let instruction = |code, k| sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    };
    if calls.is_empty() {
        return Vec::new();
    }
    let mut filter = vec![instruction(0x20, 0)];
    for call in calls {
        let call = u32::try_from(*call).expect("small");
        filter.push(sock_filter {
            jf: 1,
            ..instruction(0x15, call)
        });
        filter.push(instruction(
            0x06,
            libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs(),
        ));
    }
    filter.push(instruction(0x06, libc::SECCOMP_RET_ALLOW));
    filter
}

/// What this kernel lets a worker say about landlock.
pub(crate) fn landlock_here() -> Landlock {
    let none = ptr::null::<u8>();
    // SAFETY: with the flag for the version the kernel takes no pointer.
    match unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0usize, 1) } {
        ..=0 => Landlock::NotEnforced,
        1..=5 => Landlock::Partly,
        6.. => Landlock::Fully,
    }
}

/// A sealed memory file, as the daemon makes it.
fn sealed(bytes: &[u8]) -> File {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name is a C string.
    let fd = unsafe { libc::memfd_create(c"plugin".as_ptr(), flags) };
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    // SAFETY: the descriptor was just made and has no other owner.
    let mut file = unsafe { File::from_raw_fd(fd) };
    file.write_all(bytes).expect("memory");
    let seals = libc::F_SEAL_WRITE | libc::F_SEAL_GROW | libc::F_SEAL_SHRINK | libc::F_SEAL_SEAL;
    // SAFETY: plain numbers.
    assert_eq!(unsafe { libc::fcntl(fd, libc::F_ADD_SEALS, seals) }, 0);
    file
}

/// In the child: first out of the way of 3 to 5, then to them.
fn before_exec(wire: RawFd, image: RawFd, filter: &mut [sock_filter]) -> io::Result<()> {
    let (wire, image) = (out_of_the_way(wire)?, out_of_the_way(image)?);
    for (from, to) in [(wire, FD_IN), (wire, FD_OUT), (image, FD_IMAGE)] {
        // SAFETY: plain numbers.
        checked(unsafe { libc::dup2(from, to) })?;
    }
    if filter.is_empty() {
        Ok(())
    } else {
        install(filter)
    }
}

fn out_of_the_way(fd: RawFd) -> io::Result<RawFd> {
    // SAFETY: plain numbers.
    checked(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 100) })
}

fn install(filter: &mut [sock_filter]) -> io::Result<()> {
    let len = u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog {
        len,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: plain numbers.
    checked(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    let operation = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: the program lives until the call returns.
    match unsafe { libc::syscall(libc::SYS_seccomp, operation, 0, &raw const program) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn checked(result: c_int) -> io::Result<c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
