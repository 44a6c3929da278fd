//! Stopping before the vault is sealed, and going on after it is unsealed.

use std::time::Duration;

use bindery_core::problem::{Problem, Reason};

use crate::{Engine, flight::lock};

impl Engine {
    /// Takes nothing new: from now on [`Engine::health`] says that the vault is sealed. What is under way goes on.
    pub fn pause(&self) {
        self.inner.paused.send_replace(true);
    }

    /// Resolves when the engine is paused the next time. One that is paused already has to be resumed before.
    pub async fn next_pause(&self) {
        let mut paused = self.inner.paused.subscribe();
        // The sender lives in the engine, so waiting can't fail.
        let _ = paused.wait_for(|paused| !*paused).await;
        let _ = paused.wait_for(|paused| *paused).await;
    }

    /// Forgets what is kept of the way out: connections that are not in use, and the keys and passwords of hosts with them.
    pub fn forget_connections(&self) {
        self.ports().egress.forget();
    }

    /// Serves again. Call [`Engine::recover`] before.
    pub fn resume(&self) {
        self.inner.paused.send_replace(false);
    }

    /// Refuses while the engine is paused or the vault is sealed.
    ///
    /// # Errors
    ///
    /// `SEALED`.
    pub fn refuse_sealed(&self) -> Result<(), Problem> {
        if self.is_sealed() {
            let message = "the daemon is sealed and serves nothing; its operator must unseal it";
            return Err(Problem::new(Reason::Sealed, message));
        }
        Ok(())
    }

    pub(crate) fn is_paused(&self) -> bool {
        *self.inner.paused.borrow()
    }

    /// Waits until no refresh and no unlink is under way and every new token pair is stored, for at most `patience`.
    /// Says whether that came about: where it did not, a pair that the forge has given stays in memory until the vault
    /// is unsealed, since it would be lost otherwise.
    pub async fn quiet(&self, patience: Duration) -> bool {
        let settled = async {
            loop {
                self.refreshes().settle_all().await;
                self.sagas().settle_all().await;
                self.save_all().await;
                if lock(&self.unsaved().0).is_empty() {
                    return;
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        tokio::time::timeout(patience, settled).await.is_ok()
    }
}

/// Time between two tries to store what the store did not take.
const AGAIN: Duration = Duration::from_millis(500);
