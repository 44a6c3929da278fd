//! What is between the daemon and systemd: sockets that are passed in, how the daemon is, and the watchdog.
//!
//! Without systemd all of it does nothing.

pub(crate) mod sockets;
pub(crate) mod watchdog;

use sd_notify::NotifyState;

/// Tells that everything is served, or declared to be sealed.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// What `systemctl status` shows.
pub(crate) fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

/// Tells that settings are read again. [`ready`] must follow.
pub(crate) fn reloading() {
    // Newer versions of systemd want the time with it.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "No monotonic time for systemd"),
    }
}

/// Tells that the end has begun.
pub(crate) fn stopping() {
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status("Finishing the calls that are open"),
    ]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd can't be told how the daemon is");
    }
}
