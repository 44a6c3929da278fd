//! The hook of a host's app: one address and one secret for all of its installations.
//!
//! It is a hook without a repository and without sources, and the provider is asked about it as the app itself. What the app may
//! not change, a person sets in its settings: whether it is active, and what it is told of.

use std::time::Duration;

use bindery_core::{
    hook::{Hook, HookPlace, HookSecrets, HookState, HookStep},
    host::Host,
    name::{HookId, HostName},
    port::{Expect, Key, Listing, Record},
    problem::{Problem, Reason, Who},
    provider::{HookFacts, Input, OperationKind, WantedHook},
    receipt,
    secret::Secret,
};

use super::{
    OVERLAP, Through,
    judge::{Finding, standing},
    put_secrets,
    settle::promoted,
};
use crate::{
    Engine, Versioned,
    hosts::{as_host, fingerprint},
    operation::Outcome,
    records::change,
};

/// What a hook's facts call it where it is not told of all that is wanted. Only a person can mend that of an app.
const EVENTS: &str = "events";

/// What a caller asks for.
#[derive(Debug, Default)]
pub struct AppHookSetUp {
    /// What deliveries are signed with; `None` to have one made.
    pub secret: Option<Secret>,
    /// How long the secret before is accepted too; `None` for [`OVERLAP`].
    pub overlap: Option<Duration>,
    /// A person enters it at the provider, which is asked for nothing.
    pub by_hand: bool,
}

impl Engine {
    /// The hook of a host's app; `None` where there is no app, or its provider has no such thing.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn app_hook(&self, host: &HostName) -> Result<Option<Hook>, Problem> {
        let Some(place) = self.find_hook_place(host, "").await? else {
            return Ok(None);
        };
        let hook = self.find_hook(&place.record.hook).await?;
        Ok(hook.map(|entry| entry.record))
    }

    /// Leads the hook of a host's app here, with a new secret, wherever it led to before.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `METHOD_NOT_SUPPORTED` without an app, `INVALID_ARGUMENT` for a secret by hand that is not given, and what
    /// provider and vault say. A person who must act is named in the hook.
    pub async fn set_up_app_hook(
        &self,
        host: &HostName,
        asked: AppHookSetUp,
    ) -> Result<Hook, Problem> {
        let record = self.host(host).await?.record;
        record.usable()?;
        if asked.by_hand && asked.secret.is_none() {
            let why = "is missing; give the secret that is entered in the settings of the app";
            return Err(Problem::invalid("secret", why));
        }
        self.keep_app_hook(&record).await?;
        let (engine, host) = (self.clone(), host.clone());
        // A caller that goes away must not leave it half done.
        let done = tokio::spawn(async move { engine.set_up_alone(&host, asked).await });
        done.await
            .map_err(|_| Problem::new(Reason::ShuttingDown, "the daemon stops; try again"))?
    }

    async fn set_up_alone(&self, host: &HostName, asked: AppHookSetUp) -> Result<Hook, Problem> {
        let _alone = self.hooks().place(host, "").await;
        let hook = self.app_hook(host).await?.ok_or_else(|| no_app(host))?;
        let overlap = asked.overlap.unwrap_or(OVERLAP);
        let mut secrets = self.secrets_of(&hook).await?;
        let support = &self.hook_description(&hook).await?.hooks;
        let next = asked.secret;
        secrets.next = Some(next.unwrap_or_else(|| self.new_hook_secret(support, &hook.scheme)));
        if asked.by_hand {
            self.take_by_hand(&hook, &secrets, overlap).await?;
        } else {
            self.change_hook_with(&hook.id, |hook| {
                hook.step = Some(HookStep::Update);
                vec![put_secrets(&hook.id, &secrets)]
            })
            .await?;
            self.put_app(&hook, overlap).await?;
        }
        self.app_hook(host).await?.ok_or_else(|| no_app(host))
    }

    /// The secret counts from now on; whether the provider has it shows with the first delivery.
    async fn take_by_hand(
        &self,
        hook: &Hook,
        secrets: &HookSecrets,
        overlap: Duration,
    ) -> Result<(), Problem> {
        let (now, url) = (self.now(), self.hook_url(&hook.id));
        let secrets = promoted(secrets, now.after(overlap));
        let print = self.secret_print(&hook.host, &secrets.current).await?;
        let message = format!("enter the URL {url} and the secret in the settings of the app");
        let finding = Finding::new(HookState::Silent, message, Some(Who::HostOperator));
        self.change_hook_with(&hook.id, |hook| {
            hook.step = None;
            hook.checked = Some(now);
            hook.verified = None;
            hook.secret_created = now;
            hook.secret_fingerprint.clone_from(&print);
            hook.previous_secret_until = Some(now.after(overlap));
            finding.put_into(hook);
            vec![put_secrets(&hook.id, &secrets)]
        })
        .await
        .map(drop)
    }

    /// Makes the record of an app's hook where an app has none, and forgets that of an app that is gone. A new one is looked at
    /// by itself, at once.
    pub(crate) async fn keep_app_hook(&self, host: &Host) -> Result<(), Problem> {
        if host.app.is_some() && self.description(host).is_err() {
            // Without the plugin nobody knows; what there is stays.
            return Ok(());
        }
        let _alone = self.hooks().place(&host.name, "").await;
        let known = self.app_hook(&host.name).await?;
        let app = host.app.as_ref().filter(|_| self.has_app_hook(host));
        let app_id = app.map(|app| app.app_id.as_str());
        if known.as_ref().map(|hook| hook.full_name.as_str()) == app_id {
            return Ok(());
        }
        if let Some(old) = &known {
            self.forget_hook(old, &receipt::Outcome::Done).await?;
        }
        match app_id {
            Some(id) => self.make_app_hook(host, id).await,
            None => Ok(()),
        }
    }

    /// As [`Engine::keep_app_hook`], of all hosts: what was configured before there were such hooks gets one.
    pub(super) async fn keep_app_hooks(&self) -> Result<(), Problem> {
        for entry in self.list_all(&Listing::Hosts, as_host).await? {
            self.keep_app_hook(&entry.record).await?;
        }
        Ok(())
    }

    fn has_app_hook(&self, host: &Host) -> bool {
        self.description(host).is_ok_and(|known| {
            let able = known.operations.contains(&OperationKind::UpdateHook);
            able && !known.hooks.schemes.is_empty() && !known.app_install_uri.is_empty()
        })
    }

    async fn make_app_hook(&self, host: &Host, app_id: &str) -> Result<(), Problem> {
        let (id, now) = (self.new_hook_id()?, self.now());
        let support = &self.description(host)?.hooks;
        let scheme = support.schemes.first().map(|scheme| scheme.name.clone());
        let scheme = scheme.unwrap_or_default();
        let secrets = HookSecrets {
            current: self.new_hook_secret(support, &scheme),
            previous: None,
            next: None,
        };
        let hook = Hook {
            full_name: app_id.to_owned(),
            scheme,
            message: "the webhook of the app was not looked at yet".to_owned(),
            secret_fingerprint: fingerprint(&host.fingerprint_key, &secrets.current),
            ..Hook::new(id.clone(), host.name.clone(), String::new(), now)
        };
        let place = HookPlace {
            host: host.name.clone(),
            repository: String::new(),
            hook: id.clone(),
        };
        let place_key = Key::HookPlace(host.name.clone(), String::new());
        self.commit(vec![
            put_secrets(&id, &secrets),
            change(place_key, Expect::Any, Some(Record::HookPlace(place))),
            change(
                Key::Hook(id),
                Expect::Absent,
                Some(Record::Hook(hook.clone())),
            ),
        ])
        .await?;
        self.hook_written(&hook);
        Ok(())
    }

    /// Compares the app's hook with what the provider has. Where it leads nowhere, or here and not as it should, it is put
    /// right; one that leads elsewhere is left to the operator.
    pub(super) async fn look_at_app(&self, hook: &Hook) -> Result<(), Problem> {
        if hook.step.is_some() {
            return self.put_app(hook, OVERLAP).await;
        }
        self.drop_old_secret(hook).await?;
        let Some(facts) = self.app_facts(hook).await? else {
            return self.note_inactive(hook).await;
        };
        let here = facts.url == self.hook_url(&hook.id);
        let free = facts.url.is_empty() || self.leads_nowhere(&facts.url).await?;
        if free || (here && facts.deviations.iter().any(|one| one != EVENTS)) {
            return self.put_app(hook, OVERLAP).await;
        }
        self.note_app(&hook.id, &facts).await
    }

    /// Sends URL and newest secret, notes what the provider has then, and asks for a proof.
    async fn put_app(&self, hook: &Hook, overlap: Duration) -> Result<(), Problem> {
        self.change_hook(&hook.id, |hook| hook.step = Some(HookStep::Update))
            .await?;
        self.settle(&hook.id, overlap).await?;
        if let Some(facts) = self.app_facts(hook).await? {
            self.note_app(&hook.id, &facts).await?;
        }
        self.ping_quietly(&hook.id).await
    }

    /// What settling an app's hook sends.
    pub(super) fn app_update(&self, hook: &Hook) -> Input {
        Input::UpdateHook {
            repository: String::new(),
            hook_id: hook.provider_id.clone(),
            hook: WantedHook {
                url: self.hook_url(&hook.id),
                scheme: hook.scheme.clone(),
            },
        }
    }

    async fn app_facts(&self, hook: &Hook) -> Result<Option<HookFacts>, Problem> {
        let all = self.hooks_there(hook, Through::Sources).await?;
        Ok(all.into_iter().next())
    }

    async fn note_app(&self, id: &HookId, facts: &HookFacts) -> Result<(), Problem> {
        let (now, url) = (self.now(), self.hook_url(id));
        self.change_hook(id, |hook| {
            hook.provider_id.clone_from(&facts.hook_id);
            hook.action_uri.clone_from(&facts.web_uri);
            hook.checked = Some(now);
            finding(hook, facts, &url).put_into(hook);
        })
        .await
        .map(drop)
    }

    async fn note_inactive(&self, hook: &Hook) -> Result<(), Problem> {
        let (now, url) = (self.now(), self.hook_url(&hook.id));
        let message = format!(
            "the webhook of the app is not active; activate it in the settings of the app, with the URL {url}"
        );
        let finding = Finding::new(HookState::Missing, message, Some(Who::HostOperator));
        self.change_hook(&hook.id, |hook| {
            hook.checked = Some(now);
            finding.put_into(hook);
        })
        .await
        .map(drop)
    }

    /// Asks the provider as the app.
    pub(super) async fn act_as_app(
        &self,
        hook: &Hook,
        input: &Input,
        secret: Option<&Secret>,
    ) -> Result<Outcome, Problem> {
        let host = self.host(&hook.host).await?.record;
        host.usable()?;
        let context = self.app_context(&host).await?;
        let context = match secret {
            Some(secret) => context.with_secret(bindery_core::provider::HOOK_SECRET, secret),
            None => context,
        };
        self.run(context, input.clone()).await
    }

    /// Sixteen digits that tell the secret of a hook from others, under the key of its host.
    pub(crate) async fn secret_print(
        &self,
        host: &HostName,
        secret: &Secret,
    ) -> Result<String, Problem> {
        let Versioned { record, .. } = self.host(host).await?;
        Ok(fingerprint(&record.fingerprint_key, secret))
    }
}

/// What is to be said of an app's hook that there is.
fn finding(hook: &Hook, facts: &HookFacts, url: &str) -> Finding {
    let changed =
        |message: String| Finding::new(HookState::Changed, message, Some(Who::HostOperator));
    if facts.url != url {
        return changed(format!(
            "the webhook of the app leads to {}; set it up to have it lead here",
            facts.url
        ));
    }
    if !facts.deviations.is_empty() {
        return changed(format!(
            "the webhook of the app is not as it should be ({}); in the settings of the app subscribe to the events of \
             pushes and repositories",
            facts.deviations.join(", ")
        ));
    }
    let mut finding = standing(hook, facts);
    if finding.state == HookState::Rejecting {
        "its latest deliveries were rejected, since their signature is not right; set it up again"
            .clone_into(&mut finding.message);
        finding.who = Some(Who::HostOperator);
    }
    finding
}

fn no_app(host: &HostName) -> Problem {
    let message = format!(
        "hosts/{host} has no app with a webhook; give it the app's id and private key first"
    );
    Problem::new(Reason::MethodNotSupported, message).act(Who::HostOperator, "")
}
