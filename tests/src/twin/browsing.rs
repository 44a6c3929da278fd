//! A person's way through a twin's consent page

use std::sync::Arc;

use anyhow::{Context, ensure};
use bindery_twins::Twin;

use super::Served;
use crate::browser::{Browser, Form, Page};
use crate::gitea::Decision;

impl<T: Twin + Send + 'static> Served<T> {
    /// A browser that reaches it
    #[must_use]
    pub fn browser(&self) -> Browser {
        Browser::over(Arc::clone(&self.inner.wire))
    }

    /// Goes on from a redirect to the authorization URL, and decides there as somebody; returns the redirect back
    ///
    /// # Errors
    ///
    /// When the page does not offer that, or does not lead back.
    pub async fn decide(
        &self,
        browser: &mut Browser,
        login: &str,
        page: Page,
        decision: Decision,
    ) -> anyhow::Result<Page> {
        let to = page.location()?.context("this leads nowhere")?;
        let page = browser.get(&to).await?;
        let wanted = |form: &Form| match decision {
            Decision::Agree => form.value("login") == Some(login),
            Decision::Refuse => form.value("login").is_none(),
        };
        let form = page.forms().into_iter().find(wanted);
        let form = form.with_context(|| format!("{} has no such form", page.url))?;
        let back = browser.submit(&form).await?;
        ensure!(back.location()?.is_some(), "{} leads nowhere", back.url);
        Ok(back)
    }
}
