//! What a credential costs beside an empty call, measured side by side.
//!
//! A real `binderyd` (store on disk, sealed vault, authorization, a line in the audit log before each answer) hands out
//! the token of one bound link; a tonic server in another process answers a call that does nothing. Both are called
//! over the Unix socket and mutual TLS by 1, 16 and 64 callers, from this process, by a client that knows HTTP/2 only.
//! Each pair is measured one right after the other, in random order, and the order of the pairs is random as well.
//!
//! ```sh
//! cargo bench -p bindery-tests --bench credential                 # seven rounds of a second for each side
//! cargo bench -p bindery-tests --bench credential -- --quick      # one round of a tenth: does it work at all?
//! ```
//!
//! Ratios are what counts. Absolute figures are for orientation: they drift with the machine.
#![forbid(unsafe_code)]

#[path = "credential/load.rs"]
mod load;
#[path = "credential/processor.rs"]
mod processor;
#[path = "credential/report.rs"]
mod report;
#[path = "credential/servers.rs"]
mod servers;
#[expect(dead_code, reason = "the end-to-end tests need more of it")]
#[path = "../tests/e2e/world.rs"]
mod world;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::runtime::Builder;

use crate::{
    load::Load,
    report::{Pair, Run, heading, line},
    servers::{Servers, Side, Transport},
};

const CALLERS: [usize; 3] = [1, 16, 64];
const TRANSPORTS: [Transport; 2] = [Transport::Unix, Transport::Tls];

/// How long it is measured.
struct Plan {
    rounds: usize,
    length: Duration,
}

/// One transport, with connections to both servers.
struct Road {
    transport: Transport,
    fetch: Load,
    empty: Load,
}

/// All pairs of one transport and number of callers.
struct Cell {
    road: usize,
    callers: usize,
    pairs: Vec<Pair>,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return Ok(());
    }
    let plan = Plan::new(&arguments);
    let surroundings = Builder::new_multi_thread().enable_all().build()?;
    let servers = surroundings.block_on(Servers::start())?;
    // One thread, so that the client can't crowd the servers out.
    let client = Builder::new_current_thread().enable_all().build()?;
    client.block_on(measure(&servers, &plan))
}

impl Plan {
    /// Only `cargo bench` says `--bench`; what `cargo test` wants to know is whether it works.
    fn new(arguments: &[String]) -> Self {
        let has = |name: &str| arguments.iter().any(|argument| argument == name);
        match has("--quick") || !has("--bench") {
            true => Self {
                rounds: 1,
                length: Duration::from_millis(100),
            },
            false => Self {
                rounds: 7,
                length: Duration::from_secs(1),
            },
        }
    }
}

async fn measure(servers: &Servers, plan: &Plan) -> Result<()> {
    let roads = roads(servers).await?;
    let mut cells = cells(roads.len());
    for road in &roads {
        for side in [Side::Fetch, Side::Empty] {
            road.load(side).run(64, plan.length / 2).await?;
        }
    }
    servers.audited()?;
    let before = load_of_all(servers)?;
    for _ in 0..plan.rounds {
        shuffle(&mut cells)?;
        for cell in &mut cells {
            let road = roads.get(cell.road).context("no such road")?;
            cell.pairs
                .push(pair(servers, road, cell.callers, plan.length).await?);
        }
    }
    let foreign = foreign_load(before, load_of_all(servers)?);
    print(&roads, &mut cells, foreign);
    Ok(())
}

async fn roads(servers: &Servers) -> Result<Vec<Road>> {
    let mut roads = Vec::new();
    for transport in TRANSPORTS {
        roads.push(Road {
            transport,
            fetch: servers.load(Side::Fetch, transport).await?,
            empty: servers.load(Side::Empty, transport).await?,
        });
    }
    Ok(roads)
}

impl Road {
    const fn load(&self, side: Side) -> &Load {
        match side {
            Side::Fetch => &self.fetch,
            Side::Empty => &self.empty,
        }
    }
}

fn cells(roads: usize) -> Vec<Cell> {
    let both = |road| {
        CALLERS.map(|callers| Cell {
            road,
            callers,
            pairs: Vec::new(),
        })
    };
    (0..roads).flat_map(both).collect()
}

async fn pair(servers: &Servers, road: &Road, callers: usize, length: Duration) -> Result<Pair> {
    let mut order = [Side::Fetch, Side::Empty];
    shuffle(&mut order)?;
    let [first, second] = order;
    let first_run = run(servers, road, first, callers, length).await?;
    let second_run = run(servers, road, second, callers, length).await?;
    Ok(match first {
        Side::Fetch => Pair {
            fetch: first_run,
            empty: second_run,
        },
        Side::Empty => Pair {
            fetch: second_run,
            empty: first_run,
        },
    })
}

async fn run(
    servers: &Servers,
    road: &Road,
    side: Side,
    callers: usize,
    length: Duration,
) -> Result<Run> {
    let cpu = || -> Result<_> {
        let (server, client) = (servers.id(side)?, std::process::id());
        Ok((
            processor::of_process(server)?,
            processor::of_process(client)?,
        ))
    };
    let before = cpu()?;
    let seen = road.load(side).run(callers, length).await?;
    let after = cpu()?;
    if side == Side::Fetch {
        // Kill -9 at this moment would lose none of them: they are in the kernel.
        let lines = servers.audited()?;
        ensure!(
            lines == seen.calls,
            "{} answers, but {lines} lines of audit",
            seen.calls
        );
    }
    Ok(Run::new(&seen, after.0 - before.0, after.1 - before.1))
}

/// Processor time of the machine: what was used, what there was, and what was ours.
fn load_of_all(servers: &Servers) -> Result<[f64; 3]> {
    let (busy, all) = processor::of_machine()?;
    let ours = [
        servers.id(Side::Fetch)?,
        servers.id(Side::Empty)?,
        std::process::id(),
    ];
    let ours: Vec<f64> = ours
        .into_iter()
        .map(processor::of_process)
        .collect::<Result<_>>()?;
    Ok([busy, all, ours.iter().sum()])
}

/// The part of the processors that others used meanwhile.
fn foreign_load(before: [f64; 3], after: [f64; 3]) -> f64 {
    let [busy, all, ours] = std::array::from_fn(|index| after[index] - before[index]);
    (busy - ours).max(0.0) / all
}

fn print(roads: &[Road], cells: &mut [Cell], foreign: f64) {
    cells.sort_by_key(|cell| (cell.road, cell.callers));
    println!("FetchReadCredential ÷ empty tonic call: median (least-most) of each round's ratio");
    println!("{}", heading());
    for cell in cells {
        if let Some(road) = roads.get(cell.road) {
            println!("{}", line(road.transport, cell.callers, &cell.pairs));
        }
    }
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    println!(
        "{processors} processors, {:.0}% of them used by others meanwhile{}",
        foreign * 100.0,
        if foreign > 0.05 {
            ": too much for figures to rely on"
        } else {
            ""
        }
    );
}

/// Every order is as likely as any other.
fn shuffle<T>(items: &mut [T]) -> Result<()> {
    for last in (1..items.len()).rev() {
        let mut bytes = [0; 8];
        SystemRandom::new()
            .fill(&mut bytes)
            .ok()
            .context("no randomness")?;
        let chosen = usize::from_ne_bytes(bytes) % (last + 1);
        items.swap(last, chosen);
    }
    Ok(())
}
