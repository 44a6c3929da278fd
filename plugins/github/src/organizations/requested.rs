//! Organizations whose owners were asked to install the app, and have not decided yet
//!
//! Only the app itself is told of them. Where the host has no key of it, or the server does not know the question, nothing is
//! known: such an organization is one where the app is not installed.

use std::collections::HashMap;

use bindery_plugin_sdk::{
    Cx, Request, Result,
    v1::{self, Code},
};
use serde::Deserialize;

use super::{Organization, Verdict};
use crate::{
    app::App,
    call,
    paging::{next_cursor, page_size, url_of},
};

/// Pages that are looked at: an app that thousands ask for must not hold up one person's list.
const PAGES: usize = 10;

/// Who asked, by the number of the organization.
#[derive(Default)]
pub(super) struct Requested(HashMap<u64, String>);

#[derive(Deserialize)]
struct Asked {
    account: Account,
    requester: Requester,
}

/// An organization; an enterprise has a number of its own kind, and is in no person's list.
#[derive(Deserialize)]
struct Account {
    id: u64,
    #[serde(default, rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Requester {
    #[serde(default)]
    login: String,
}

impl Requested {
    pub(super) async fn read(cx: &Cx) -> Result<Self> {
        let mut found = Self::default();
        let app = match App::sign(cx).await {
            Ok(app) => app,
            Err(failure) if failure.code() == Code::Unsupported => return Ok(found),
            Err(failure) => return Err(failure),
        };
        let mut url = cx
            .api(&["app", "installation-requests"])?
            .query("per_page", page_size(0));
        for _ in 0..PAGES {
            let response = app.send(Request::get(url)).await?;
            // A key that does not fit is the operator's, and found by a probe; the person's own list is none the worse.
            if matches!(response.status(), 401 | 404) {
                break;
            }
            let response = call::good(cx, response)?;
            found.add(response.json()?);
            match next_cursor(cx, &response)? {
                end if end.is_empty() => break,
                cursor => url = url_of(cx, &cursor)?,
            }
        }
        Ok(found)
    }

    fn add(&mut self, asked: Vec<Asked>) {
        let of_organizations = asked
            .into_iter()
            .filter(|one| one.account.kind == "Organization");
        let by_number = of_organizations.map(|one| (one.account.id, one.requester.login));
        self.0.extend(by_number);
    }

    /// What is known of an organization whose owners were asked.
    pub(super) fn verdict(&self, cx: &Cx, found: &Organization) -> Result<Option<Verdict>> {
        let Some(requester) = self.0.get(&found.id) else {
            return Ok(None);
        };
        let page = cx.web(&["organizations", &found.login, "settings", "installations"])?;
        Ok(Some(Verdict {
            access: v1::OrganizationAccess::RequestPending,
            reason: format!("{requester} asked for the app, and no owner has decided yet"),
            who: v1::Actor::OrganizationOwner,
            page: page.into(),
        }))
    }
}
