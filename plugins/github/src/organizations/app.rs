//! Organizations, as an app sees them
//!
//! A token that an app got for a person is not held up by the restrictions on OAuth applications: an organization is open
//! exactly where the app is installed. An installation itself has one account, and no more.

use std::collections::HashSet;

use bindery_plugin_sdk::{Cx, Result, v1};

use super::{Organization, Verdict, granted, requested::Requested};
use crate::{
    describe::install_page,
    installation::{self, Account, Installation},
};

/// The account of the installation, if it is an organization.
pub(super) async fn of_installation(cx: &Cx) -> Result<()> {
    let own = installation::own(cx).await?;
    let account = own.account.as_ref();
    let items = account
        .filter(|account| account.is_organization())
        .map(|account| item(account, judge(cx, &own)));
    cx.emit(v1::OrganizationPage {
        items: items.into_iter().collect(),
        ..v1::OrganizationPage::default()
    });
    Ok(())
}

/// Organizations where the app is installed, whether or not the person's own list shows them, and those whose owners were
/// asked to install it.
pub(super) struct Installed {
    all: Vec<Installation>,
    requested: Requested,
}

impl Installed {
    pub(super) async fn read(cx: &Cx) -> Result<Self> {
        let mut all = installation::all_of_person(cx).await?;
        all.retain(|one| one.account.as_ref().is_some_and(Account::is_organization));
        let requested = Requested::read(cx).await?;
        Ok(Self { all, requested })
    }

    /// What is known of an organization of the person's list.
    pub(super) fn judge(&self, cx: &Cx, found: &Organization) -> Result<Verdict> {
        let of = |one: &&Installation| one.account.as_ref().is_some_and(|on| on.id == found.id);
        match self.all.iter().find(of) {
            Some(installed) => Ok(judge(cx, installed)),
            None => match self.requested.verdict(cx, found)? {
                Some(pending) => Ok(pending),
                None => self.not_installed(cx, &found.login),
            },
        }
    }

    /// The app's name is known from where it is installed. Elsewhere the organization's own list of apps is the page.
    fn not_installed(&self, cx: &Cx, name: &str) -> Result<Verdict> {
        let slug = self.all.iter().map(|one| one.app_slug.as_str());
        let page = match slug.into_iter().find(|slug| !slug.is_empty()) {
            Some(slug) => install_page(cx, slug)?,
            None => cx
                .web(&["organizations", name, "settings", "installations"])?
                .into(),
        };
        Ok(Verdict {
            access: v1::OrganizationAccess::NotInstalled,
            reason: "the app is not installed in the organization".to_owned(),
            who: v1::Actor::OrganizationOwner,
            page,
        })
    }

    /// Organizations that the person's list left out.
    pub(super) fn rest(&self, cx: &Cx, seen: &HashSet<u64>) -> v1::OrganizationPage {
        let left_out = self.all.iter().filter_map(|one| {
            let account = one.account.as_ref().filter(|on| !seen.contains(&on.id))?;
            Some(item(account, judge(cx, one)))
        });
        v1::OrganizationPage {
            items: left_out.collect(),
            ..v1::OrganizationPage::default()
        }
    }
}

fn judge(cx: &Cx, installed: &Installation) -> Verdict {
    if !installed.is_suspended() {
        return granted();
    }
    Verdict {
        access: v1::OrganizationAccess::RestrictedByPolicy,
        reason: "the installation of the app is suspended".to_owned(),
        who: v1::Actor::OrganizationOwner,
        page: installed.page(cx),
    }
}

/// An installation says nothing of the person's role.
fn item(account: &Account, verdict: Verdict) -> v1::Organization {
    verdict.item(account.id, account.name(), String::new())
}
