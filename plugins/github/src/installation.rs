//! Installations of the app: on which account, for what

use bindery_plugin_sdk::{Cx, Failure, Request, Result, v1};
use serde::Deserialize;

use crate::{
    account,
    app::App,
    call, organizations,
    paging::{next_cursor, page_size, url_of},
    permissions::{self, Levels},
};

/// An installation, as GitHub tells it.
#[derive(Deserialize)]
pub(crate) struct Installation {
    pub(crate) id: u64,
    pub(crate) account: Option<Account>,
    #[serde(default)]
    pub(crate) app_slug: String,
    #[serde(default)]
    pub(crate) permissions: Levels,
    #[serde(default)]
    repository_selection: String,
    #[serde(default)]
    html_url: String,
    suspended_at: Option<String>,
}

/// The account that it is on. An enterprise has no login, but a slug.
#[derive(Deserialize)]
pub(crate) struct Account {
    pub(crate) id: u64,
    login: Option<String>,
    slug: Option<String>,
    #[serde(default)]
    html_url: String,
    #[serde(default, rename = "type")]
    kind: String,
}

impl Account {
    pub(crate) fn name(&self) -> &str {
        let name = self.login.as_deref().or(self.slug.as_deref());
        name.unwrap_or_default()
    }

    pub(crate) fn is_organization(&self) -> bool {
        self.kind == "Organization"
    }

    /// Whether it is the person whose token this is, or an organization that they own. An enterprise tells neither.
    async fn is_owned(&self, cx: &Cx) -> Result<bool> {
        match self.kind.as_str() {
            "User" => Ok(account::id(cx).await? == self.id),
            "Organization" => organizations::is_owner(cx, self.name()).await,
            _ => Ok(false),
        }
    }

    fn identity(&self, cx: &Cx) -> v1::Identity {
        v1::Identity {
            stable_id: self.id.to_string(),
            login: self.name().to_owned(),
            display_name: String::new(),
            kind: account::kind(&self.kind).into(),
            web_uri: call::own_page(cx, &self.html_url),
        }
    }
}

impl Installation {
    pub(crate) const fn is_suspended(&self) -> bool {
        self.suspended_at.is_some()
    }

    /// Where the account configures it.
    pub(crate) fn page(&self, cx: &Cx) -> String {
        call::own_page(cx, &self.html_url)
    }

    fn told(&self, cx: &Cx) -> v1::Installation {
        v1::Installation {
            installation_id: self.id.to_string(),
            account: self.account.as_ref().map(|account| account.identity(cx)),
            scopes: permissions::written(&self.permissions),
            suspended: self.is_suspended(),
            all_repositories: self.repository_selection == "all",
            web_uri: self.page(cx),
        }
    }
}

pub(crate) async fn get(cx: &Cx, input: &v1::GetInstallation) -> Result<v1::Installation> {
    let found = if input.as_person {
        of_person(cx, &input.installation_id).await?
    } else {
        let app = App::sign(cx).await?;
        fetch(cx, &app, &input.installation_id).await?
    };
    Ok(found.told(cx))
}

/// The installation of the credential, if it is alive.
pub(crate) async fn own(cx: &Cx) -> Result<Installation> {
    let app = App::sign(cx).await?;
    let found = fetch(cx, &app, id(cx)?).await?;
    if found.is_suspended() {
        return Err(suspended(found.page(cx)));
    }
    Ok(found)
}

/// Who a link by the app is: the account that it is installed on.
pub(crate) async fn identify(cx: &Cx) -> Result<v1::Identity> {
    let found = own(cx).await?;
    let account = found
        .account
        .ok_or_else(|| Failure::malformed("the installation has no account"))?;
    Ok(account.identity(cx))
}

/// An installation's permissions are told by itself; its tokens are minted when they are needed.
pub(crate) async fn inspect(cx: &Cx) -> Result<v1::TokenFacts> {
    Ok(v1::TokenFacts {
        scopes: permissions::written(&own(cx).await?.permissions),
        scopes_known: true,
        expire_unix: 0,
        active: true,
    })
}

pub(crate) async fn fetch(cx: &Cx, app: &App<'_>, id: &str) -> Result<Installation> {
    let url = cx.api(&["app", "installations", id])?;
    let response = app.send(Request::get(url)).await?;
    if !response.is_success() {
        return Err(app.failure(&response).await);
    }
    response.json()
}

/// Id of the credential's installation.
pub(crate) fn id(cx: &Cx) -> Result<&str> {
    match cx.credential().installation_id.as_str() {
        "" => Err(Failure::invalid_argument("the link has no installation")),
        id => Ok(id),
    }
}

pub(crate) fn suspended(page: String) -> Failure {
    Failure::suspended("the installation of the app is suspended").with_action_uri(page)
}

/// The id comes with a redirect that anybody can make up, and the person's own list holds every installation that covers
/// one repository which they can read. It is theirs to link if they own the account that it is on.
async fn of_person(cx: &Cx, id: &str) -> Result<Installation> {
    let theirs = all_of_person(cx).await?;
    let mut theirs = theirs.into_iter();
    let found = theirs.find(|one| one.id.to_string() == id).ok_or_else(|| {
        Failure::permission_denied("the person has no access to this installation of the app")
    })?;
    let owned = match &found.account {
        Some(account) => account.is_owned(cx).await?,
        None => false,
    };
    owned.then_some(found).ok_or_else(|| {
        Failure::permission_denied(
            "the person does not own the account that the app is installed on; an owner must sign in",
        )
    })
}

#[derive(Deserialize)]
struct Page {
    installations: Vec<Installation>,
}

/// All installations of the app that a person, whose token this is, can act on.
pub(crate) async fn all_of_person(cx: &Cx) -> Result<Vec<Installation>> {
    let mut url = cx
        .api(&["user", "installations"])?
        .query("per_page", page_size(0));
    let mut all = Vec::new();
    loop {
        let response = call::get(cx, url).await?;
        all.extend(response.json::<Page>()?.installations);
        match next_cursor(cx, &response)? {
            end if end.is_empty() => return Ok(all),
            cursor => url = url_of(cx, &cursor)?,
        }
    }
}
