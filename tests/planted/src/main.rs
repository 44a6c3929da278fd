//! Plants every bug of the table, or those that are named, and fails unless each is caught.

use anyhow::{Result, ensure};
use bindery_planted::{
    plant::{Copy, Found},
    table,
};

fn main() -> Result<()> {
    let named: Vec<_> = std::env::args().skip(1).collect();
    let mut bugs = table()?;
    bugs.retain(|bug| named.is_empty() || named.contains(&bug.name));
    ensure!(!bugs.is_empty(), "no such bug");
    let copy = Copy::new()?;
    let mut left = Vec::new();
    for bug in &bugs {
        let (found, printed) = copy.try_bug(bug)?;
        println!("{found:?}: {} ({})", bug.name, bug.test);
        if found != Found::Caught {
            println!("{printed}");
            left.push(bug.name.as_str());
        }
    }
    println!(
        "figure: {} of {} planted bugs are caught",
        bugs.len() - left.len(),
        bugs.len()
    );
    ensure!(left.is_empty(), "not caught: {}", left.join(", "));
    Ok(())
}
