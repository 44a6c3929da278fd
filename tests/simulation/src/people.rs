//! What people do to links: they disable and enable them, authorize them anew, and end them.

use bindery_core::{
    link::Stage,
    port::{Key, Record},
    problem::Problem,
    secret::Secret,
};
use bindery_engine::{
    Engine,
    flows::{Returned, Shown},
    links::Reauthorize,
    unlink::UnlinkOptions,
};

use crate::{
    fate::Fate,
    life::Run,
    links::{Known, namespace, stored},
};

/// The browser of whoever consents.
const BROWSER: &str = "cookie";

impl Run {
    /// A person does one thing. `None` where the daemon died over it.
    pub(crate) async fn person(&mut self, engine: &Engine, fate: &Fate, at: usize) -> Option<()> {
        match self.random.below(30) {
            0 => self.unlink(engine, fate, at).await,
            1..=5 => self.reauthorize(engine, fate, at).await,
            _ => self.toggle(engine, fate, at).await,
        }
    }

    async fn toggle(&mut self, engine: &Engine, fate: &Fate, at: usize) -> Option<()> {
        let (known, acme) = (self.links[at].clone(), namespace());
        let _ = if self.disabled(&known) {
            fate.or_death(engine.enable_link(&acme, &known.id, "", "uid:1", None, None))
                .await?
        } else {
            let work = engine.disable_link(&acme, &known.id, "", "uid:1", None, None);
            fate.or_death(work).await?
        };
        Some(())
    }

    /// Who is told that a link needs it does it, and now and then somebody whose link is well.
    async fn reauthorize(&mut self, engine: &Engine, fate: &Fate, at: usize) -> Option<()> {
        let needs = |known: &Known| {
            let stage = self.stage(known);
            matches!(stage, Stage::NeedsReauthorization(_))
        };
        let at = self.links.iter().position(needs).unwrap_or(at);
        let known = self.links[at].clone();
        match fate.or_death(self.consented(engine, &known)).await? {
            Ok(()) => {
                self.links[at].revoked = false;
                self.history.reauthorized += 1;
                self.note(format!("{}: authorized anew", known.forge));
            }
            Err(problem) => {
                let why = problem.reason.as_str();
                self.note(format!("{}: not authorized anew, {why}", known.forge));
            }
        }
        Some(())
    }

    /// The way through the pages: out to the forge, back with a code, and the confirmation.
    async fn consented(&self, engine: &Engine, known: &Known) -> Result<(), Problem> {
        let ask = Reauthorize {
            namespace: namespace(),
            id: known.id.clone(),
            method: None,
            permissions: std::collections::BTreeSet::new(),
            allow_identity_change: false,
            allow_personal_account: false,
            principal: "uid:1".to_owned(),
            expect: None,
            validate_only: false,
        };
        let started = engine.reauthorize_link(ask, None).await?;
        let page = started.authorization.expect("a page to go to").uri;
        let flow = page.rsplit('/').next().unwrap_or_default().to_owned();
        let forge = engine.leave_for_forge(&flow, BROWSER).await?;
        let field = |name: &str| field(&forge, name).unwrap_or_default();
        let code = self.forges.with(known.forge, |forge, now| {
            forge.consent(&field("redirect_uri"), now)
        });
        let returned = Returned {
            redirect_id: known.forge,
            state: &field("state"),
            code: Some(Secret::new(code)),
            error: None,
            issuer: None,
            installation: None,
            browser: Some(BROWSER),
        };
        engine.callback(returned).await?;
        let view = engine.confirm_view(&flow, BROWSER).await?;
        let code = view.confirm_code.expose();
        let bound = engine.confirm_in_browser(&flow, code, BROWSER, Shown::default());
        bound.await.map(drop)
    }

    async fn unlink(&mut self, engine: &Engine, fate: &Fate, at: usize) -> Option<()> {
        let (known, acme) = (self.links[at].clone(), namespace());
        let options = UnlinkOptions {
            actor: "uid:1".to_owned(),
            ..UnlinkOptions::default()
        };
        let work = engine.unlink(&acme, &known.id, options);
        let said = match fate.or_death(work).await? {
            Ok(_) => "done",
            Err(problem) => problem.reason.as_str(),
        };
        self.note(format!("{}: unlinked, {said}", known.forge));
        Some(())
    }

    /// Where a link is, as the disk has it.
    pub(crate) fn stage(&self, known: &Known) -> Stage {
        stored(&self.disk, known).0.observed.stage
    }

    /// A link that is unlinked keeps no token, and its receipt has an end: it says what was done.
    pub(crate) fn ended(&self, known: &Known) -> Result<(), String> {
        let (_, grant) = stored(&self.disk, known);
        if grant.is_some() {
            return Err(format!("{}: an unlinked link keeps its grant", known.forge));
        }
        let receipt = self.disk.read(&Key::Receipt(namespace(), known.id.clone()));
        match receipt.map(|entry| entry.record) {
            Some(Record::Receipt(receipt)) if receipt.finished.is_some() => Ok(()),
            _ => Err(format!("{}: no finished receipt", known.forge)),
        }
    }
}

/// A field of a URL's query.
fn field(url: &str, name: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let mut fields = url::form_urlencoded::parse(query.as_bytes());
    let found = fields.find(|(known, _)| known == name);
    found.map(|(_, value)| value.into_owned())
}
