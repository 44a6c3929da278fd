//! The services over real sockets: Unix with peer credentials, and mutual TLS on loopback.

mod audit;
mod calls;
mod certs;
mod client;
mod connections;
mod deliveries;
mod events;
mod floods;
mod frames;
mod identity;
mod leases;
mod life;
mod matrix;
mod payloads;
mod ports;
mod records;
mod shares;
mod sharing;
mod sources;
mod subscriptions;
mod surfaces;
mod triggers;
mod ways;
mod world;
