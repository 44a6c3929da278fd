//! What it costs to keep deliveries, and to tell watchers of them, measured side by side.
//!
//! A real `binderyd` takes GitHub's deliveries of pushes of 8 KiB over 1, 16 and 64 connections, and answers each when it is
//! durable. `binderyd-forgetful`, the same sources, verifies, looks up and answers as well, and stores nothing. Each pair is
//! measured one right after the other, in random order. Then 1, 100, 1,000 and 4,000 watchers are told of the same events; and at the
//! end good deliveries come through a storm of forged ones.
//!
//! ```sh
//! cargo bench -p bindery-tests --bench intake                 # seven rounds
//! cargo bench -p bindery-tests --bench intake -- --quick      # one small round: does it work at all?
//! cargo bench -p bindery-tests --bench intake -- --storm      # the storm alone
//! cargo bench -p bindery-tests --bench intake -- --watchers   # the watchers alone
//! ```
//!
//! Ratios are what counts. Absolute figures are for orientation: they drift with the machine, and its disk.
#![forbid(unsafe_code)]

#[path = "intake/disk.rs"]
mod disk;
#[path = "intake/fan_out.rs"]
mod fan_out;
#[path = "intake/posting.rs"]
mod posting;
#[path = "credential/processor.rs"]
mod processor;
#[path = "intake/report.rs"]
mod report;
#[path = "intake/servers.rs"]
mod servers;
#[path = "intake/storm.rs"]
mod storm;
#[path = "intake/watchers.rs"]
mod watchers;
#[expect(dead_code, reason = "the end-to-end tests need more of it")]
#[path = "../tests/e2e/world.rs"]
mod world;

use anyhow::{Context, Result};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::runtime::Builder;

use crate::{
    report::{Pair, Run},
    servers::{Server, Side},
};

const CONNECTIONS: [u8; 3] = [1, 16, 64];
const WATCHERS: [usize; 4] = [1, 100, 1000, 4000];

/// How much is measured.
struct Plan {
    rounds: usize,
    /// Deliveries of one run, for each number of connections.
    deliveries: [usize; 3],
    /// Events that are told one at a time, and those that come at once.
    events: (usize, usize),
    /// Who watches, at most.
    watchers: usize,
    /// Forged deliveries and good ones.
    storm: (usize, usize),
}

/// All pairs of one number of connections.
struct Cell {
    connections: u8,
    deliveries: usize,
    pairs: Vec<Pair>,
}

/// The daemon, and the one that forgets.
struct Servers {
    stores: Server,
    forgets: Server,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return Ok(());
    }
    let plan = Plan::new(&arguments);
    let surroundings = Builder::new_multi_thread().enable_all().build()?;
    // One thread, so that the client can't crowd the servers out.
    let client = Builder::new_current_thread().enable_all().build()?;
    if arguments.iter().any(|argument| argument == "--storm") {
        let mut server = surroundings.block_on(Server::start(Side::Stores))?;
        return client.block_on(storm(&mut server, &plan));
    }
    if arguments.iter().any(|argument| argument == "--watchers") {
        let mut server = surroundings.block_on(Server::start(Side::Stores))?;
        return client.block_on(fan_out(&mut server, &plan));
    }
    let mut servers = surroundings.block_on(Servers::start())?;
    client.block_on(measure(&mut servers, &plan))
}

impl Plan {
    /// Only `cargo bench` says `--bench`; what `cargo test` wants to know is whether it works.
    fn new(arguments: &[String]) -> Self {
        let has = |name: &str| arguments.iter().any(|argument| argument == name);
        match has("--quick") || !has("--bench") {
            true => Self {
                rounds: 1,
                deliveries: [10, 64, 128],
                events: (2, 5),
                watchers: if has("--watchers") { 4000 } else { 1000 },
                storm: (500, 10),
            },
            false => Self {
                rounds: 7,
                deliveries: [200, 800, 1600],
                events: (50, 200),
                watchers: 4000,
                storm: (100_000, 300),
            },
        }
    }
}

impl Servers {
    async fn start() -> Result<Self> {
        Ok(Self {
            stores: Server::start(Side::Stores).await?,
            forgets: Server::start(Side::Forgets).await?,
        })
    }

    async fn run(&mut self, side: Side, cell: &Cell) -> Result<Run> {
        let (connections, deliveries) = (cell.connections, cell.deliveries);
        match side {
            Side::Stores => self.stores.run(connections, deliveries).await,
            Side::Forgets => self.forgets.run(connections, deliveries).await,
        }
    }

    /// Processor time of the machine: what was used, what there was, and what was ours. Plugins count as others.
    fn load_of_all(&self) -> Result<[f64; 3]> {
        let (busy, all) = processor::of_machine()?;
        let ids = [self.stores.id()?, self.forgets.id()?, std::process::id()];
        let ours = ids.into_iter().map(processor::of_process);
        let ours: Vec<f64> = ours.collect::<Result<_>>()?;
        Ok([busy, all, ours.iter().sum()])
    }
}

async fn measure(servers: &mut Servers, plan: &Plan) -> Result<()> {
    let cells = CONNECTIONS.into_iter().zip(plan.deliveries);
    let mut cells: Vec<_> = cells
        .map(|(connections, deliveries)| Cell {
            connections,
            deliveries,
            pairs: Vec::new(),
        })
        .collect();
    for side in [Side::Stores, Side::Forgets] {
        // Neither is measured cold.
        let warm = Cell {
            connections: 16,
            deliveries: plan.deliveries[0],
            pairs: Vec::new(),
        };
        servers.run(side, &warm).await?;
    }
    let before = servers.load_of_all()?;
    for _ in 0..plan.rounds {
        shuffle(&mut cells)?;
        for cell in &mut cells {
            let pair = pair(servers, cell).await?;
            cell.pairs.push(pair);
        }
    }
    let foreign = foreign_load(before, servers.load_of_all()?);
    cells.sort_by_key(|cell| cell.connections);
    print(servers, &cells, foreign)?;
    fan_out(&mut servers.stores, plan).await?;
    storm(&mut servers.stores, plan).await
}

async fn pair(servers: &mut Servers, cell: &Cell) -> Result<Pair> {
    let mut order = [Side::Stores, Side::Forgets];
    shuffle(&mut order)?;
    let [first, second] = order;
    let first_run = servers.run(first, cell).await?;
    let second_run = servers.run(second, cell).await?;
    Ok(match first {
        Side::Stores => Pair {
            stores: first_run,
            forgets: second_run,
        },
        Side::Forgets => Pair {
            stores: second_run,
            forgets: first_run,
        },
    })
}

/// The part of the processors that others used meanwhile.
fn foreign_load(before: [f64; 3], after: [f64; 3]) -> f64 {
    let [busy, all, ours] = std::array::from_fn(|index| after[index] - before[index]);
    (busy - ours).max(0.0) / all
}

fn print(servers: &Servers, cells: &[Cell], foreign: f64) -> Result<()> {
    println!("{}", servers.stores.about());
    println!("Durable ÷ answered without storing: median (least-most) of each round's ratio");
    println!("{}", report::heading());
    for cell in cells {
        println!("{}", report::line(cell.connections, &cell.pairs));
    }
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    println!(
        "{processors} processors, {:.0}% of them used by plugins and by others meanwhile; {}",
        foreign * 100.0,
        disk::about(&servers.stores.folder())?,
    );
    Ok(())
}

async fn fan_out(server: &mut Server, plan: &Plan) -> Result<()> {
    println!(
        "\nFan-out: from the answer to a delivery, which is before it is read and appended, to the last receipt"
    );
    println!("{}", fan_out::heading());
    for watchers in WATCHERS.into_iter().filter(|all| *all <= plan.watchers) {
        let seen = fan_out::measure(server, watchers, plan.events).await?;
        println!("{}", fan_out::line(&seen));
    }
    Ok(())
}

async fn storm(server: &mut Server, plan: &Plan) -> Result<()> {
    storm::print(&storm::measure(server, plan.storm).await?);
    Ok(())
}

/// Every order is as likely as any other.
fn shuffle<T>(items: &mut [T]) -> Result<()> {
    for last in (1..items.len()).rev() {
        let mut bytes = [0; 8];
        let filled = SystemRandom::new().fill(&mut bytes);
        filled.ok().context("no randomness")?;
        let chosen = usize::from_ne_bytes(bytes) % (last + 1);
        items.swap(last, chosen);
    }
    Ok(())
}
