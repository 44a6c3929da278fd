//! The host of plugins against real files, real libraries and the real worker

mod answers;
mod catalog;
mod inspect;
mod life;
mod support;
mod workers;
