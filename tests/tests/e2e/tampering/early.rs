//! Cases that fail before a code is exchanged.

use anyhow::{Context, Result, ensure};
use bindery_client::{UnlinkRequest, proto::v1::observed_state::Stage};
use bindery_tests::inside::Inside;

use super::scene::{ACME, GLOBEX, Scene, is_refused, value, was_refused, with};

impl<F: Inside> Scene<F> {
    pub(super) async fn no_cookie(&mut self) -> Result<()> {
        let (_, start) = self.world.start_link_in(ACME).await?;
        let (mut attacker, mut victim) = (self.world.forge.browser(), self.world.forge.browser());
        let page = self.leave(&mut attacker, &start).await?;
        let back = self.world.forge.agree(&mut victim, page).await?;
        let back = back.location()?.context("the forge leads nowhere")?;
        is_refused(&mut victim, &back).await
    }

    pub(super) async fn another_cookie(&mut self) -> Result<()> {
        let (_, _, back) = self.consented(ACME).await?;
        let (_, mut victim, own) = self.consented(GLOBEX).await?;
        ensure!(value(&back, "state")? != value(&own, "state")?, "one state");
        is_refused(&mut victim, &back).await
    }

    pub(super) async fn second_browser(&mut self) -> Result<()> {
        let (_, start) = self.world.start_link_in(ACME).await?;
        let (mut first, mut second) = (self.world.forge.browser(), self.world.forge.browser());
        let left = self.leave(&mut first, &start).await?;
        ensure!(left.location()?.is_some(), "the first leads nowhere");
        was_refused(&self.leave(&mut second, &start).await?)
    }

    pub(super) async fn forged_state(&mut self) -> Result<()> {
        let (_, mut browser, back) = self.consented(ACME).await?;
        let state = value(&back, "state")?;
        let flow = state.split('.').next().unwrap_or_default();
        let guess = "A".repeat(43);
        for forged in [guess.clone(), format!("{flow}.{guess}")] {
            is_refused(&mut browser, &with(&back, "state", Some(&forged))).await?;
        }
        Ok(())
    }

    pub(super) async fn no_state(&mut self) -> Result<()> {
        let (_, mut browser, back) = self.consented(ACME).await?;
        is_refused(&mut browser, &with(&back, "state", None)).await?;
        is_refused(&mut browser, &with(&back, "state", Some(""))).await
    }

    pub(super) async fn two_codes(&mut self) -> Result<()> {
        let (_, mut browser, mut back) = self.consented(ACME).await?;
        let code = value(&back, "code")?;
        back.query_pairs_mut().append_pair("code", &code);
        is_refused(&mut browser, &back).await
    }

    pub(super) async fn another_place(&mut self) -> Result<()> {
        let (_, mut browser, mut back) = self.consented(ACME).await?;
        ensure!(back.path() != self.other_place, "hosts share a place");
        back.set_path(&self.other_place);
        is_refused(&mut browser, &back).await
    }

    pub(super) async fn another_issuer(&mut self) -> Result<()> {
        let (_, mut browser, back) = self.consented(ACME).await?;
        let evil = with(&back, "iss", Some("https://evil.example"));
        is_refused(&mut browser, &evil).await
    }

    pub(super) async fn refused_by_person(&mut self) -> Result<()> {
        let (link, mut browser, back) = self.consented(ACME).await?;
        let refusal = with(&back, "code", None);
        let refusal = with(&refusal, "error", Some("access_denied"));
        browser.get(&refusal).await?;
        let stage = self.stage(&link).await?;
        ensure!(stage == Stage::Unlinked, "it is {stage:?} still");
        is_refused(&mut browser, &back).await
    }

    pub(super) async fn ended_flow(&mut self) -> Result<()> {
        let (link, mut browser, back) = self.consented(ACME).await?;
        self.world.client.unlink(UnlinkRequest::new(link)).await?;
        is_refused(&mut browser, &back).await
    }
}
