//! The daemon: configuration, composition, main

fn main() {}
