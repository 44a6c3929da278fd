//! A small assembler for filters
//!
//! A filter is a list of rules. The first rule whose number and checks all hold decides; if none does, the process is
//! killed. So is a call that comes in through another architecture's table.

use libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter,
};

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// Where the kernel puts the number of the call, its architecture, and the low half of the first argument.
const AT_NUMBER: u32 = 0;
const AT_ARCHITECTURE: u32 = 4;
const AT_ARGUMENTS: u32 = 16;
const ARGUMENT_LEN: u32 = 8;

/// What happens to a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Action {
    /// It is carried out.
    Allow,
    /// It answers EPERM.
    Refuse,
    /// It ends the process with SIGSYS.
    Kill,
}

/// `(argument & mask)` is, or is not, one of some values.
///
/// Only the low halves of arguments are looked at: every argument checked here is one of which the kernel ignores the
/// high half or of which it tests single low bits.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) argument: u32,
    pub(super) mask: u32,
    pub(super) values: Vec<u32>,
    pub(super) among: bool,
}

/// One call and when it gets which answer.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) number: u32,
    pub(super) checks: Vec<Check>,
    pub(super) action: Action,
}

impl Action {
    pub(super) const fn code(self) -> u32 {
        match self {
            Self::Allow => libc::SECCOMP_RET_ALLOW,
            Self::Refuse => libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs(),
            Self::Kill => libc::SECCOMP_RET_KILL_PROCESS,
        }
    }
}

/// The program of a list of rules.
pub(super) fn assemble(rules: &[Rule]) -> Vec<sock_filter> {
    let mut program = vec![
        load(AT_ARCHITECTURE),
        jump_if(ARCHITECTURE, 1, 0),
        answer(Action::Kill),
    ];
    for rule in rules {
        program.extend(assemble_rule(rule));
    }
    program.push(answer(Action::Kill));
    program
}

/// One rule; whatever does not hold jumps behind it.
fn assemble_rule(rule: &Rule) -> Vec<sock_filter> {
    let mut block = Block::default();
    block.push(load(AT_NUMBER));
    block.else_leave(rule.number);
    for check in &rule.checks {
        block.check(check);
    }
    block.push(answer(rule.action));
    block.link()
}

/// Instructions of a rule, with those that leave it.
#[derive(Default)]
struct Block {
    code: Vec<sock_filter>,
    leave_if_true: Vec<usize>,
    leave_if_false: Vec<usize>,
}

impl Block {
    fn push(&mut self, instruction: sock_filter) {
        self.code.push(instruction);
    }

    fn check(&mut self, check: &Check) {
        self.push(load(AT_ARGUMENTS + ARGUMENT_LEN * check.argument));
        if check.mask != u32::MAX {
            self.push(instruction(BPF_ALU | BPF_AND | BPF_K, check.mask));
        }
        if check.among {
            self.one_of(&check.values)
        } else {
            self.none_of(&check.values)
        }
    }

    fn one_of(&mut self, values: &[u32]) {
        let Some((last, others)) = values.split_last() else {
            return;
        };
        for (before, value) in others.iter().enumerate() {
            self.push(jump_if(*value, offset(others.len() - before), 0));
        }
        self.else_leave(*last);
    }

    fn none_of(&mut self, values: &[u32]) {
        for value in values {
            self.leave_if_true.push(self.code.len());
            self.push(jump_if(*value, 0, 0));
        }
    }

    fn else_leave(&mut self, value: u32) {
        self.leave_if_false.push(self.code.len());
        self.push(jump_if(value, 0, 0));
    }

    fn link(mut self) -> Vec<sock_filter> {
        let end = self.code.len();
        for at in self.leave_if_true {
            self.code[at].jt = offset(end - at - 1);
        }
        for at in self.leave_if_false {
            self.code[at].jf = offset(end - at - 1);
        }
        self.code
    }
}

fn load(at: u32) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, at)
}

fn answer(action: Action) -> sock_filter {
    instruction(BPF_RET | BPF_K, action.code())
}

fn jump_if(value: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter {
        jt,
        jf,
        ..instruction(BPF_JMP | BPF_JEQ | BPF_K, value)
    }
}

fn instruction(code: u32, k: u32) -> sock_filter {
    let code = u16::try_from(code).expect("every instruction code fits 16 bits");
    sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    }
}

fn offset(distance: usize) -> u8 {
    u8::try_from(distance).expect("a rule has few instructions")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What a program answers, by the rules of the kernel's machine.
    pub(crate) fn run(program: &[sock_filter], arch: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let (mut at, mut a) = (0, 0);
        loop {
            let i = program[at];
            at += 1;
            match u32::from(i.code) {
                code if code == BPF_LD | BPF_W | BPF_ABS => a = word(arch, number, &arguments, i.k),
                code if code == BPF_ALU | BPF_AND | BPF_K => a &= i.k,
                code if code == BPF_JMP | BPF_JEQ | BPF_K => {
                    at += usize::from(if a == i.k { i.jt } else { i.jf });
                }
                code if code == BPF_RET | BPF_K => return i.k,
                code => panic!("no such instruction: {code}"),
            }
        }
    }

    fn word(arch: u32, number: u32, arguments: &[u64; 6], at: u32) -> u32 {
        match at {
            AT_NUMBER => number,
            AT_ARCHITECTURE => arch,
            _ => {
                let argument = arguments[(at - AT_ARGUMENTS) as usize / 8];
                u32::try_from(argument & 0xffff_ffff).expect("masked")
            }
        }
    }

    pub(crate) fn here(program: &[sock_filter], number: u32, arguments: [u64; 6]) -> u32 {
        run(program, ARCHITECTURE, number, arguments)
    }

    fn check(among: bool) -> Check {
        Check {
            argument: 1,
            mask: 0xf0,
            values: vec![0x10, 0x30, 0x70],
            among,
        }
    }

    /// A rule decides when its number and its check hold, and the next rule is asked otherwise.
    #[test]
    fn p1_rules_are_asked_in_order() {
        let rule = |checks, action| Rule {
            number: 9,
            checks,
            action,
        };
        let program = assemble(&[
            rule(vec![check(true)], Action::Allow),
            rule(vec![], Action::Refuse),
        ]);
        for (value, action) in [
            (0x10, Action::Allow),
            (0x3f, Action::Allow),
            (0x70, Action::Allow),
            (0x20, Action::Refuse),
            (0, Action::Refuse),
        ] {
            assert_eq!(
                here(&program, 9, [0, value, 0, 0, 0, 0]),
                action.code(),
                "{value:#x}"
            );
        }
        assert_eq!(
            here(&program, 8, [0, 0x10, 0, 0, 0, 0]),
            Action::Kill.code()
        );
    }

    /// A check for "none of these" is the opposite of "one of these".
    #[test]
    fn p1_a_check_can_be_turned_around() {
        let program = assemble(&[Rule {
            number: 9,
            checks: vec![check(false)],
            action: Action::Allow,
        }]);
        for (value, action) in [
            (0x10, Action::Kill),
            (0x35, Action::Kill),
            (0x70, Action::Kill),
            (0x20, Action::Allow),
        ] {
            assert_eq!(
                here(&program, 9, [0, value, 0, 0, 0, 0]),
                action.code(),
                "{value:#x}"
            );
        }
    }

    /// A call through the table of another architecture, where the numbers mean something else, is killed.
    #[test]
    fn p1_another_architecture_is_killed() {
        let program = assemble(&[Rule {
            number: 9,
            checks: vec![],
            action: Action::Allow,
        }]);
        assert_eq!(here(&program, 9, [0; 6]), Action::Allow.code());
        assert_eq!(run(&program, 0x4000_0003, 9, [0; 6]), Action::Kill.code());
    }
}
