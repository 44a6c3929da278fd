//! The small confined process that loads one plugin

fn main() {}
