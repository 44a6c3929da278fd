//! The host of plugins against real files, real libraries and the real worker

mod catalog;
mod inspect;
mod support;
mod workers;
