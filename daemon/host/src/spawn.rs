//! Starting a worker process: the only unsafe code of this crate
//!
//! The kernel kills a worker when the **thread** that started it ends (`PR_SET_PDEATHSIG`), so all of them are started
//! by one thread that lives as long as any worker's owner does. The signal is set after the user is changed, because
//! changing the user clears it.

#![expect(
    unsafe_code,
    reason = "places descriptors between fork and exec, which has no safe interface"
)]

use std::{
    ffi::c_uint,
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd},
        unix::{net::UnixStream, process::CommandExt as _},
    },
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc},
};

use bindery_plugin_abi::frame::{
    ARG_ALLOW_UNSANDBOXED, ARG_REQUIRE_SANDBOX, FD_IMAGE, FD_IN, FD_OUT,
};
use rustix::{
    io::fcntl_dupfd_cloexec,
    process::{
        Gid, Pid, Resource, Rlimit, Signal, Uid, getppid, set_parent_process_death_signal,
        setrlimit,
    },
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};
use tokio::{io::unix::AsyncFd, sync::oneshot};

use crate::config::{WorkerConfig, WorkerUser};

/// A worker process and both ends that the daemon keeps.
#[derive(Debug)]
pub(crate) struct Spawned {
    pub(crate) child: Child,
    pub(crate) socket: UnixStream,
    pub(crate) stderr: OwnedFd,
}

/// The thread that starts workers. Clones share it; it ends, and every worker with it, when the last one is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Spawner {
    jobs: mpsc::Sender<Job>,
}

struct Job {
    config: Arc<WorkerConfig>,
    sandbox: bool,
    image: Arc<OwnedFd>,
    reply: oneshot::Sender<io::Result<Spawned>>,
}

impl Spawner {
    pub(crate) fn new() -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let thread = std::thread::Builder::new().name("plugin-spawner".into());
        thread.spawn(move || {
            while let Ok(job) = queue.recv() {
                let spawned = spawn(&job.config, job.sandbox, &job.image);
                // Nobody waits any more: the worker is not wanted either.
                if let Err(Ok(mut unwanted)) = job.reply.send(spawned) {
                    let _ = unwanted.child.kill();
                    let _ = unwanted.child.wait();
                }
            }
        })?;
        Ok(Self { jobs })
    }

    pub(crate) async fn spawn(
        &self,
        config: Arc<WorkerConfig>,
        sandbox: bool,
        image: Arc<OwnedFd>,
    ) -> io::Result<Spawned> {
        let (reply, spawned) = oneshot::channel();
        let gone = || io::Error::other("the thread that starts workers is gone");
        self.jobs
            .send(Job {
                config,
                sandbox,
                image,
                reply,
            })
            .map_err(|_| gone())?;
        spawned.await.map_err(|_| gone())?
    }
}

/// Descriptors up to here are the worker's; the ones that are copied to them must not lie there themselves. (The
/// standard library's own pipe, through which it reports a failed exec, may: then the report is lost, and the worker
/// counts as ended before it was ready.)
const FIRST_FREE: RawFd = 10;

fn spawn(config: &WorkerConfig, sandbox: bool, image: &OwnedFd) -> io::Result<Spawned> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let (tail, stderr) = io::pipe()?;
    // Neither side waits for the other: a plugin that writes too much loses the rest.
    rustix::io::ioctl_fionbio(&tail, true)?;
    rustix::io::ioctl_fionbio(&stderr, true)?;
    let socket = fcntl_dupfd_cloexec(theirs.as_fd(), FIRST_FREE)?;
    let image = fcntl_dupfd_cloexec(image, FIRST_FREE)?;
    let mut command = Command::new(&config.path);
    command.arg(if sandbox {
        ARG_REQUIRE_SANDBOX
    } else {
        ARG_ALLOW_UNSANDBOXED
    });
    command.env_clear().current_dir("/").process_group(0);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(OwnedFd::from(stderr));
    let setup = Setup::new(config, &socket, &image);
    // SAFETY: `enter` only makes system calls (see there), which is what is allowed between fork and exec.
    unsafe { command.pre_exec(move || setup.enter()) };
    let child = command.spawn()?;
    Ok(Spawned {
        child,
        socket: ours,
        stderr: tail.into(),
    })
}

/// All that the child needs, worked out before the fork. It owns nothing: the parent keeps both descriptors open until
/// the program is running.
#[derive(Clone, Copy)]
struct Setup {
    socket: RawFd,
    image: RawFd,
    memory: u64,
    cpu_seconds: Option<u64>,
    user: Option<WorkerUser>,
    parent: Pid,
}

impl Setup {
    fn new(config: &WorkerConfig, socket: &OwnedFd, image: &OwnedFd) -> Self {
        let root = rustix::process::geteuid().is_root();
        Self {
            socket: socket.as_raw_fd(),
            image: image.as_raw_fd(),
            memory: config.memory,
            cpu_seconds: config.cpu_seconds,
            user: config.user.filter(|_| root),
            parent: rustix::process::getpid(),
        }
    }

    /// Runs in the child. System calls only: no allocation, no lock.
    fn enter(&self) -> io::Result<()> {
        place(self.socket, FD_IN)?;
        place(self.socket, FD_OUT)?;
        place(self.image, FD_IMAGE)?;
        close_others_on_exec();
        self.limit()?;
        if let Some(user) = self.user {
            become_user(user)?;
        }
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The daemon may have ended before the signal was set.
        if getppid() == Some(self.parent) {
            Ok(())
        } else {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    fn limit(&self) -> io::Result<()> {
        let limits = [
            (Resource::As, Some(self.memory)),
            (Resource::Core, Some(0)),
            (Resource::Nofile, Some(16)),
            (Resource::Fsize, Some(0)),
            (Resource::Cpu, self.cpu_seconds),
        ];
        for (resource, value) in limits {
            let Some(value) = value else { continue };
            // At the soft limit of CPU time comes a signal that says why, at the hard one a plain kill.
            let grace = u64::from(resource == Resource::Cpu);
            let (current, maximum) = (Some(value), Some(value.saturating_add(grace)));
            setrlimit(resource, Rlimit { current, maximum })?;
        }
        Ok(())
    }
}

fn become_user(user: WorkerUser) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

/// Copies a descriptor to a fixed number; the copy survives exec.
fn place(from: RawFd, to: RawFd) -> io::Result<()> {
    // SAFETY: plain numbers. The child is a copy of a process that will be replaced; what lay at `to` is nobody's here.
    if unsafe { libc::dup2(from, to) } == to {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Everything in the daemon is close-on-exec already; this is for what a library forgot. An old kernel refuses the
/// call, and then the worker closes them.
fn close_others_on_exec() {
    const FIRST: c_uint = FD_IMAGE.unsigned_abs() + 1;
    // SAFETY: plain numbers; it only sets a flag on the child's own descriptors.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            FIRST,
            c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
}

/// A descriptor that can be waited for.
pub(crate) fn wait_on(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open, is the same descriptor for all its life, and is moved into the `AsyncFd` for good.
    let waiting = unsafe { AsyncFd::register(fd) };
    waiting.map_err(Into::into)
}

/// The C library that runs here, where this program uses one. A static daemon leaves the check to the worker's loader.
#[cfg(target_env = "gnu")]
pub(crate) fn running_glibc() -> Option<(u32, u32)> {
    // SAFETY: no arguments; the answer is a static string.
    let version = unsafe { libc::gnu_get_libc_version() };
    // SAFETY: it is never null and ends with a zero.
    let version = unsafe { std::ffi::CStr::from_ptr(version) };
    crate::inspect::parse_glibc(version.to_str().ok()?)
}

/// Not known.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn running_glibc() -> Option<(u32, u32)> {
    None
}
