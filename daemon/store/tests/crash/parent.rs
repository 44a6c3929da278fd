//! Starts the child, listens to it, and kills it.

use std::env::current_exe;
use std::io::{BufRead, BufReader};
use std::ops::RangeInclusive;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use crate::disk::Shim;
use crate::records::WRITERS;

/// One life of the child, as it is planned.
pub(crate) struct Run<'a> {
    folder: &'a Path,
    environment: Vec<(String, String)>,
    preload: Option<PathBuf>,
    file_limit: Option<u32>,
    kill_after: usize,
}

/// A child that has opened its store.
pub(crate) struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
    lines: Vec<String>,
}

/// What a child said, and how it ended.
#[derive(Debug)]
pub(crate) struct Report {
    lines: Vec<String>,
    status: ExitStatus,
}

/// The last acknowledged step of each writer, over all lives so far.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    steps: [u64; WRITERS],
    total: usize,
}

/// A fixed sequence of plans; the moments they meet still differ from run to run.
pub(crate) struct Random(pub(crate) u64);

impl<'a> Run<'a> {
    pub(crate) fn of(folder: &'a Path) -> Self {
        Self {
            folder,
            environment: Vec::new(),
            preload: None,
            file_limit: None,
            kill_after: usize::MAX,
        }
    }

    /// Kills the child when so many acknowledgements were heard.
    pub(crate) fn kill_after(mut self, acknowledged: usize) -> Self {
        self.kill_after = acknowledged;
        self
    }

    /// Puts the child on the model disk.
    pub(crate) fn shim(mut self, shim: &Shim, plan: &[(&str, &str)]) -> Self {
        self.preload = Some(shim.path());
        let root = self
            .folder
            .canonicalize()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        self.environment.push(("SHIM_ROOT".to_owned(), root));
        let plan = plan
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.environment.extend(plan);
        self
    }

    /// Lets the child set space aside.
    pub(crate) fn ballast(mut self) -> Self {
        self.environment
            .push(("CRASH_BALLAST".to_owned(), "yes".to_owned()));
        self
    }

    /// Ends the child after so many steps of each writer.
    pub(crate) fn limit(mut self, steps: u64) -> Self {
        self.environment
            .push(("CRASH_LIMIT".to_owned(), steps.to_string()));
        self
    }

    /// Lets no file of the child grow beyond so many blocks of 512 bytes.
    pub(crate) fn file_limit(mut self, blocks: u32) -> Self {
        self.file_limit = Some(blocks);
        self
    }

    /// Lets the child live until its plan or its own end.
    pub(crate) fn go(self) -> Report {
        let kill_after = self.kill_after;
        let mut running = self.spawn();
        let mut acknowledged = 0;
        while running.listen() {
            acknowledged += usize::from(running.lines.last().is_some_and(|line| is_ack(line)));
            if acknowledged == kill_after {
                return running.kill();
            }
        }
        running.end()
    }

    /// Returns once the child has written something.
    pub(crate) fn start(self) -> Running {
        let mut running = self.spawn();
        while running.listen() && !running.lines.last().is_some_and(|line| is_ack(line)) {}
        running
    }

    fn spawn(self) -> Running {
        let program = current_exe().unwrap();
        let mut command = match self.file_limit {
            None => Command::new(program),
            // The signal has to be ignored, or it kills the child instead of failing its write.
            Some(blocks) => {
                let mut shell = Command::new("sh");
                let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
                shell.arg("-c").arg(script).arg(program);
                shell
            }
        };
        command.args(["child", "--exact", "--nocapture", "--test-threads=1"]);
        command
            .env("CRASH_FOLDER", self.folder)
            .envs(self.environment);
        if let Some(shim) = self.preload {
            command.env("LD_PRELOAD", shim);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Running {
            child,
            output,
            lines: Vec::new(),
        }
    }
}

impl Running {
    /// Sends SIGKILL and collects what was said before.
    pub(crate) fn kill(mut self) -> Report {
        self.child.kill().unwrap();
        self.end()
    }

    /// Hears one line; a line that the kill cut off says nothing.
    fn listen(&mut self) -> bool {
        let mut line = String::new();
        let heard = self.output.read_line(&mut line).unwrap();
        if line.ends_with('\n') {
            self.lines.push(line.trim_end().to_owned());
        }
        heard > 0
    }

    fn end(mut self) -> Report {
        while self.listen() {}
        let status = self.child.wait().unwrap();
        Report {
            lines: self.lines,
            status,
        }
    }
}

impl Report {
    pub(crate) fn was_killed(&self) -> bool {
        self.status.signal() == Some(9)
    }

    pub(crate) fn succeeded(&self) -> bool {
        self.status.success()
    }

    pub(crate) fn has_opened(&self) -> bool {
        self.said("opened")
    }

    pub(crate) fn was_refused(&self, error: &str) -> bool {
        self.lines
            .iter()
            .any(|line| line.strip_prefix("refused ") == Some(error))
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.lines.iter().any(|line| line.starts_with("error "))
    }

    /// Whether everything that was acknowledged could be read at the end.
    pub(crate) fn read_right(&self) -> bool {
        self.said("right")
    }

    /// Whether something read as if it had never been written.
    pub(crate) fn has_lost(&self) -> bool {
        self.said("lost")
    }

    fn said(&self, word: &str) -> bool {
        self.lines.iter().any(|line| line == word)
    }

    pub(crate) fn acknowledged_after_error(&self) -> usize {
        self.lines
            .iter()
            .filter(|line| line.starts_with("late "))
            .count()
    }
}

impl Acknowledged {
    pub(crate) fn extend(&mut self, report: &Report) {
        for line in report.lines.iter().filter(|line| is_ack(line)) {
            let mut numbers = line
                .split(' ')
                .skip(1)
                .map(|number| number.parse::<u64>().unwrap());
            let writer = usize::try_from(numbers.next().unwrap()).unwrap();
            self.steps[writer] = numbers.next().unwrap();
            self.total += 1;
        }
    }

    pub(crate) const fn of(&self, writer: usize) -> u64 {
        self.steps[writer]
    }

    /// What a check has seen may not get lost any more either.
    pub(crate) const fn found(&mut self, writer: usize, step: u64) {
        self.steps[writer] = step;
    }

    pub(crate) const fn total(&self) -> usize {
        self.total
    }
}

impl Random {
    pub(crate) fn within(&mut self, range: RangeInclusive<usize>) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let (low, high) = range.into_inner();
        low + usize::try_from(self.0 >> 33).unwrap() % (high - low + 1)
    }
}

fn is_ack(line: &str) -> bool {
    line.starts_with("ack ")
}
