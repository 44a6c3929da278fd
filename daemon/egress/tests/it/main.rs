//! Contracts of the egress, against real servers on loopback.

mod addresses;
mod answers;
mod calls;
mod device;
mod identity;
mod leaks;
mod limits;
mod logs;
mod posts;
mod probes;
mod revocations;
mod slots;
mod support;
mod tls;
mod tokens;
