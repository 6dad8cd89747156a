//! Processor time of processes on this machine: `proc(5)`.

use std::fs;

/// Clock ticks a second: `sysconf(_SC_CLK_TCK)`, which is 100 on every Linux.
const TICKS: f64 = 100.0;

/// Processes whose processor time is read, where they are known.
#[derive(Clone, Copy, Default)]
pub(crate) struct Watched {
    pub(crate) host: Option<u32>,
    /// The server's first process: its children are counted with it.
    pub(crate) database: Option<u32>,
}

impl Watched {
    /// Seconds so far, of the host and of the database server.
    pub(crate) fn times(&self) -> (Option<f64>, Option<f64>) {
        (self.host.and_then(own), self.database.and_then(with_children))
    }
}

/// User and system time of a process and its threads.
fn own(pid: u32) -> Option<f64> {
    let [user, system, ..] = fields(pid)?;
    Some((user + system) / TICKS)
}

/// The same with all its children, those that have ended included.
fn with_children(pid: u32) -> Option<f64> {
    let sum: f64 = fields(pid)?.iter().sum();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    let living: f64 = children.split_whitespace().filter_map(|child| own(child.parse().ok()?)).sum();
    Some(sum / TICKS + living)
}

/// `utime`, `stime`, `cutime`, `cstime`.
fn fields(pid: u32) -> Option<[f64; 4]> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let rest: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| rest.get(number)?.parse().ok();
    Some([field(11)?, field(12)?, field(13)?, field(14)?])
}
