//! Another grant in the place of the first, and the end of both.

use anyhow::{Result, ensure};
use bindery_tests::forge::Forge;
use serde_json::Value;

use super::{
    cli::{self, text},
    row::{Row, entry, generation, next_second},
};

impl<F: Forge> Row<F> {
    /// The link stays the same one, and has another pair of tokens.
    pub(super) async fn reauthorizes(&mut self) -> Result<()> {
        let pair = generation(&self.seen()?)?;
        let link = self.link.clone();
        next_second().await;
        self.person(&["link", "reauthorize", &link]).await?;
        ensure!(self.only_link()? == link, "it is another link");
        self.is_renewed(pair + 1).await
    }

    /// The receipt says what was done, and the forge agrees.
    pub(super) async fn unlinks(&mut self) -> Result<()> {
        let receipt = cli::json(&self.daemon, &["link", "unlink", &self.link])?;
        text(&receipt, "/finishTime")?;
        let revoked = entry(&receipt["steps"], "kind", "KIND_REVOKE_GRANT")?;
        if self.forge.revokes_by_api() {
            self.is_revoked(&receipt, revoked).await?;
        } else {
            self.is_left_to_a_person(&receipt, revoked).await?;
        }
        let again = cli::json(&self.daemon, &["link", "receipt", &self.link])?;
        ensure!(again == receipt, "another receipt: {again}");
        let read = ["credential", "read", &self.link];
        let reason = cli::refused(&self.daemon, &read)?;
        ensure!(reason == "LINK_UNLINKED", "refused for {reason}");
        Ok(())
    }

    async fn is_revoked(&mut self, receipt: &Value, step: &Value) -> Result<()> {
        let outcome = text(step, "/outcome")?;
        let gone = ["OUTCOME_DONE", "OUTCOME_ALREADY_ABSENT"].contains(&outcome);
        ensure!(gone, "not revoked: {step}");
        ensure!(receipt["complete"] == true, "left behind: {receipt}");
        ensure!(
            !self.forge.accepts(&self.token).await?,
            "the token outlived the unlink"
        );
        Ok(())
    }

    /// The forge has no API for it: the grant lives until a person ends it at the page that the receipt names.
    async fn is_left_to_a_person(&mut self, receipt: &Value, step: &Value) -> Result<()> {
        let outcome = text(step, "/outcome")?;
        ensure!(outcome == "OUTCOME_IMPOSSIBLE", "not said: {step}");
        let page = text(step, "/actionUri")?;
        ensure!(page.starts_with(&self.forge.web_url()), "no page: {step}");
        ensure!(receipt["complete"] != true, "not left behind: {receipt}");
        self.is_accepted().await
    }
}
