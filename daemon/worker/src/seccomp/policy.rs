//! What the two filters allow
//!
//! Calls that a runtime tries at some time and does without are refused with EPERM, so that starting a thread or
//! asking for the time zone is an error that the plugin sees, and so is printing, which authors do to debug; everything
//! else that is not allowed kills.

use bindery_plugin_abi::frame::{FD_IN, FD_OUT};
use libc::{c_int, c_long};

use super::{
    Phase,
    bpf::{Action, Check, Rule},
};

const STDOUT: c_int = libc::STDOUT_FILENO;
const STDERR: c_int = libc::STDERR_FILENO;
const EXEC: c_int = libc::PROT_EXEC;
const WRITE_EXEC: c_int = libc::PROT_WRITE | libc::PROT_EXEC;

/// Memory, time, randomness, signals to itself, the end: allowed in both phases, whatever the arguments.
const ALWAYS: [c_long; 15] = [
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// What the loader does with descriptors that it has.
const LOADER: [c_long; 4] = [
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_fstat,
    libc::SYS_close,
];

/// Harmless probes of runtimes.
const PROBES: [c_long; 33] = [
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getcwd,
    libc::SYS_lseek,
    libc::SYS_pread64,
    libc::SYS_writev,
    libc::SYS_fcntl,
    libc::SYS_ioctl,
    libc::SYS_ppoll,
    libc::SYS_clone3,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_membarrier,
    libc::SYS_rt_sigaction,
    libc::SYS_prctl,
    libc::SYS_prlimit64,
    libc::SYS_getrusage,
    libc::SYS_sched_getaffinity,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_gettimeofday,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getppid,
];

/// Probes by the older names, which aarch64 never had.
#[cfg(target_arch = "x86_64")]
const OLD_PROBES: [c_long; 9] = [
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_poll,
    libc::SYS_getrlimit,
    libc::SYS_arch_prctl,
    libc::SYS_time,
];
#[cfg(target_arch = "aarch64")]
const OLD_PROBES: [c_long; 0] = [];

/// The rules of a phase, the frequent ones first.
pub(super) fn rules(phase: Phase) -> Vec<Rule> {
    let mut rules = vec![allow_if(
        libc::SYS_write,
        vec![one_of(0, &[FD_OUT, STDERR])],
    )];
    match phase {
        Phase::Loading => rules.extend(loading()),
        Phase::Serving => rules.push(allow_if(libc::SYS_read, vec![one_of(0, &[FD_IN])])),
    }
    rules.extend(ALWAYS.map(allow));
    rules.extend(memory());
    rules.push(signals_to_itself());
    rules.push(rule(
        libc::SYS_write,
        vec![one_of(0, &[STDOUT])],
        Action::Refuse,
    ));
    rules.extend(PROBES.map(refuse));
    rules.extend(OLD_PROBES.map(refuse));
    rules
}

/// Anonymous memory that is not executable, and protection that does not make it so.
fn memory() -> [Rule; 2] {
    let anonymous = bits(3, libc::MAP_ANONYMOUS, libc::MAP_ANONYMOUS);
    [
        allow_if(libc::SYS_mmap, vec![bits(2, EXEC, 0), anonymous]),
        allow_if(libc::SYS_mprotect, vec![bits(2, EXEC, 0)]),
    ]
}

/// `abort` needs it. The process is alone in its thread group, so its own number is all that it can name.
fn signals_to_itself() -> Rule {
    let me = std::process::id().cast_signed();
    allow_if(libc::SYS_tgkill, vec![one_of(0, &[me])])
}

/// What the loader needs beyond that: to open for reading, to map code that cannot be written, and the second filter.
fn loading() -> Vec<Rule> {
    let mut rules: Vec<Rule> = LOADER.map(allow).into();
    rules.push(allow_if(libc::SYS_openat, vec![reading(2)]));
    #[cfg(target_arch = "x86_64")]
    rules.push(allow_if(libc::SYS_open, vec![reading(1)]));
    rules.push(allow_if(
        libc::SYS_newfstatat,
        vec![bits(3, libc::AT_EMPTY_PATH, libc::AT_EMPTY_PATH)],
    ));
    rules.push(allow_if(libc::SYS_mmap, vec![bits(2, EXEC, 0)]));
    rules.push(allow_if(
        libc::SYS_mmap,
        vec![bits(2, WRITE_EXEC, EXEC), bits(3, libc::MAP_ANONYMOUS, 0)],
    ));
    rules.push(allow_if(
        libc::SYS_seccomp,
        vec![set_filter(), one_of(1, &[0])],
    ));
    rules
}

/// No flag but two that change nothing: in particular none that writes, creates, truncates or opens a path only. Any
/// other leads to the refusal further down.
fn reading(argument: u32) -> Check {
    bits(
        argument,
        !(libc::O_CLOEXEC | libc::O_LARGEFILE),
        libc::O_RDONLY,
    )
}

fn set_filter() -> Check {
    let operation = libc::SECCOMP_SET_MODE_FILTER;
    Check {
        argument: 0,
        mask: u32::MAX,
        values: vec![operation],
        among: true,
    }
}

fn allow(number: c_long) -> Rule {
    allow_if(number, Vec::new())
}

fn allow_if(number: c_long, checks: Vec<Check>) -> Rule {
    rule(number, checks, Action::Allow)
}

fn refuse(number: c_long) -> Rule {
    rule(number, Vec::new(), Action::Refuse)
}

fn rule(number: c_long, checks: Vec<Check>, action: Action) -> Rule {
    let number = u32::try_from(number).expect("the number of a call is small and positive");
    Rule {
        number,
        checks,
        action,
    }
}

fn one_of(argument: u32, values: &[c_int]) -> Check {
    let values = values.iter().map(|value| value.cast_unsigned()).collect();
    Check {
        argument,
        mask: u32::MAX,
        values,
        among: true,
    }
}

fn bits(argument: u32, mask: c_int, value: c_int) -> Check {
    Check {
        argument,
        mask: mask.cast_unsigned(),
        values: vec![value.cast_unsigned()],
        among: true,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::bpf::{assemble, tests::here},
        *,
    };

    const ALLOW: u32 = Action::Allow.code();
    const REFUSE: u32 = Action::Refuse.code();
    const KILL: u32 = Action::Kill.code();

    fn answer(phase: Phase, number: c_long, arguments: [c_int; 4]) -> u32 {
        let [a, b, c, d] = arguments.map(|argument| u64::from(argument.cast_unsigned()));
        here(
            &assemble(&rules(phase)),
            u32::try_from(number).expect("small"),
            [a, b, c, d, 0, 0],
        )
    }

    fn both(number: c_long, arguments: [c_int; 4]) -> [u32; 2] {
        [
            answer(Phase::Loading, number, arguments),
            answer(Phase::Serving, number, arguments),
        ]
    }

    /// Files open for reading while loading, never in another way, and not at all later.
    #[test]
    fn p1_files_open_for_reading_while_loading_only() {
        let open = |flags| both(libc::SYS_openat, [-100, 0, flags, 0]);
        assert_eq!(open(libc::O_RDONLY | libc::O_CLOEXEC), [ALLOW, REFUSE]);
        for flags in [
            libc::O_WRONLY,
            libc::O_RDWR,
            libc::O_CREAT,
            libc::O_TRUNC,
            libc::O_PATH,
        ] {
            assert_eq!(open(flags), [REFUSE, REFUSE], "{flags:#o}");
        }
    }

    /// Memory is never writable and executable, and never becomes executable.
    #[test]
    fn p1_no_memory_is_writable_and_executable() {
        let (read, anonymous) = (libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let map = |prot, flags| both(libc::SYS_mmap, [0, 4096, prot, flags]);
        assert_eq!(map(read | libc::PROT_WRITE, anonymous), [ALLOW, ALLOW]);
        assert_eq!(map(read | EXEC, libc::MAP_PRIVATE), [ALLOW, KILL]);
        assert_eq!(map(read, libc::MAP_PRIVATE), [ALLOW, KILL]);
        assert_eq!(map(WRITE_EXEC, anonymous), [KILL, KILL]);
        assert_eq!(map(WRITE_EXEC, libc::MAP_PRIVATE), [KILL, KILL]);
        assert_eq!(map(read | EXEC, anonymous), [KILL, KILL]);
        assert_eq!(both(libc::SYS_mprotect, [0, 4096, read, 0]), [ALLOW, ALLOW]);
        assert_eq!(
            both(libc::SYS_mprotect, [0, 4096, read | EXEC, 0]),
            [KILL, KILL]
        );
    }

    /// Replies and messages go out, requests come in, and no other descriptor works once the image is loaded.
    #[test]
    fn p1_only_the_wire_is_read_and_written() {
        for fd in 0..8 {
            let written = match fd {
                FD_OUT | STDERR => ALLOW,
                STDOUT => REFUSE,
                _ => KILL,
            };
            assert_eq!(both(libc::SYS_write, [fd, 0, 1, 0]), [written; 2], "{fd}");
            let read = if fd == FD_IN { ALLOW } else { KILL };
            assert_eq!(
                answer(Phase::Serving, libc::SYS_read, [fd, 0, 1, 0]),
                read,
                "{fd}"
            );
        }
    }

    /// What leads out of the process kills it, in both phases.
    #[test]
    fn p1_ways_out_kill() {
        let me = std::process::id().cast_signed();
        for number in [
            libc::SYS_socket,
            libc::SYS_socketpair,
            libc::SYS_connect,
            libc::SYS_sendmsg,
            libc::SYS_clone,
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_kill,
            libc::SYS_memfd_create,
            libc::SYS_pkey_mprotect,
            libc::SYS_io_uring_setup,
            libc::SYS_bpf,
            libc::SYS_userfaultfd,
            libc::SYS_unshare,
            libc::SYS_mount,
            libc::SYS_personality,
            libc::SYS_dup3,
            libc::SYS_unlinkat,
        ] {
            assert_eq!(both(number, [me, 6, 0, 0]), [KILL; 2], "call {number}");
        }
        assert_eq!(both(libc::SYS_tgkill, [me, me, 6, 0]), [ALLOW; 2]);
        assert_eq!(both(libc::SYS_tgkill, [1, 1, 9, 0]), [KILL; 2]);
    }

    /// The second filter can be installed, without a listener, and a third cannot.
    #[test]
    fn p1_filters_end_with_the_second() {
        let operation = libc::SECCOMP_SET_MODE_FILTER.cast_signed();
        assert_eq!(both(libc::SYS_seccomp, [operation, 0, 0, 0]), [ALLOW, KILL]);
        assert_eq!(both(libc::SYS_seccomp, [operation, 8, 0, 0]), [KILL, KILL]);
    }

    /// Starting a thread is an error that the plugin sees.
    #[test]
    fn p1_probes_of_runtimes_are_refused() {
        for number in [
            libc::SYS_clone3,
            libc::SYS_prctl,
            libc::SYS_sched_getaffinity,
        ] {
            assert_eq!(both(number, [0; 4]), [REFUSE; 2], "call {number}");
        }
    }
}
