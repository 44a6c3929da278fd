//! Cases that get as far as the exchange of one code.

use anyhow::{Context, Result, ensure};
use bindery_client::{ConfirmRequest, proto::v1::observed_state::Stage};
use bindery_tests::inside::Inside;

use super::scene::{ACME, GLOBEX, Scene, is_refused, value, was_refused, with};

impl<F: Inside> Scene<F> {
    pub(super) async fn replay(&mut self) -> Result<()> {
        let (_, mut browser, back) = self.consented(ACME).await?;
        let first = browser.get(&back).await?;
        ensure!(first.location()?.is_some(), "refused: {}", first.body);
        is_refused(&mut browser, &back).await
    }

    /// With PKCE the forge refuses. Without it the person sees at the confirm page whose account it is, and nothing is bound.
    pub(super) async fn swapped_code(&mut self) -> Result<()> {
        let (link, mut victim, back) = self.consented(ACME).await?;
        let (_, _, attackers) = self.consented(GLOBEX).await?;
        let code = value(&attackers, "code")?;
        let page = victim.get(&with(&back, "code", Some(&code))).await?;
        let (stage, pkce) = (self.stage(&link).await?, self.world.has_pkce().await?);
        let pending = stage == Stage::PendingConfirmation;
        ensure!(
            pending != pkce,
            "{stage:?} after {} with PKCE: {pkce}",
            page.status
        );
        let fetched = self.world.fetch(&link).await;
        ensure!(fetched.is_err(), "handed out unconfirmed");
        Ok(())
    }

    pub(super) async fn wrong_confirmation(&mut self) -> Result<()> {
        let (link, mut browser, page) = self.pending().await?;
        let mut forms = page.forms().into_iter();
        let form = forms.find(|form| form.action.path().ends_with("/confirm"));
        let form = form.context("no confirmation is asked for")?;
        let mut stranger = self.world.forge.browser();
        was_refused(&stranger.submit(&form).await?)?;
        let forged = form.set("code", &"A".repeat(43));
        was_refused(&browser.submit(&forged).await?)?;
        let stage = self.stage(&link).await?;
        ensure!(stage == Stage::PendingConfirmation, "it is {stage:?}");
        Ok(())
    }

    pub(super) async fn another_principal(&mut self) -> Result<()> {
        let (link, _, _) = self.pending().await?;
        let stolen = self.other.confirm(ConfirmRequest::new(&link)).await;
        ensure!(
            matches!(&stolen, Err(error) if error.reason() == "FLOW_MISMATCH"),
            "{stolen:?}"
        );
        let stage = self.stage(&link).await?;
        ensure!(stage == Stage::PendingConfirmation, "it is {stage:?}");
        Ok(())
    }
}
