//! The driver, as the daemon sees it, and the library, as the loader sees it

mod driver;
mod library;
