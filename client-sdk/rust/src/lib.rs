//! Client for the Bindery daemon
