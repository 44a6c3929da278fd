//! Repositories, as an app sees them: those that it is installed for
//!
//! `/user/repos` is not for apps. A person's token is led through the installations one after another; a cursor names the
//! installation in its path, so the next one is found again from the list.

use bindery_plugin_sdk::{Cx, Failure, Response, Result, Url, v1};
use serde::Deserialize;

use super::{Repository, select};
use crate::{
    call,
    installation::{self, Installation},
    paging::{cursor_of, is_enough, next_cursor, page_size, url_of},
};

#[derive(Deserialize)]
struct Page {
    repositories: Vec<Repository>,
}

pub(super) async fn of_installation(cx: &Cx, input: &v1::ListRepositories) -> Result<()> {
    if is_other_account(cx, &input.owner) {
        return Err(elsewhere(String::new()));
    }
    let first = cx.api(&["installation", "repositories"])?;
    walk(cx, input, first, &[]).await
}

pub(super) async fn of_person(cx: &Cx, input: &v1::ListRepositories) -> Result<()> {
    let mut all = installation::all_of_person(cx).await?;
    if !input.owner.is_empty() {
        let owner = input.owner.as_str();
        all.retain(|one| is_on(one, owner));
    }
    match all.iter().find(|one| !one.is_suspended()) {
        Some(first) => walk(cx, input, repositories_of(cx, first)?, &all).await,
        None if input.owner.is_empty() => {
            cx.emit(v1::RepositoryPage::default());
            Ok(())
        }
        None => Err(refused(cx, all.first())),
    }
}

/// Goes from page to page, and after the last one of an installation to the next installation.
async fn walk(
    cx: &Cx,
    input: &v1::ListRepositories,
    first: Url,
    all: &[Installation],
) -> Result<()> {
    let mut url = match input.cursor.as_str() {
        "" => first.query("per_page", page_size(input.page_size)),
        cursor => url_of(cx, cursor)?,
    };
    let mut done = 0;
    loop {
        let at = url.as_str().to_owned();
        let response = call::get(cx, url).await?;
        let cursor = match next_cursor(cx, &response)? {
            end if end.is_empty() => following(cx, input, &at, all)?,
            cursor => cursor,
        };
        done += 1;
        cx.emit(page(&response, input, &cursor)?);
        if cursor.is_empty() || is_enough(done, input.max_pages) {
            return Ok(());
        }
        url = url_of(cx, &cursor)?;
    }
}

fn page(
    response: &Response,
    input: &v1::ListRepositories,
    cursor: &str,
) -> Result<v1::RepositoryPage> {
    let found: Page = response.json()?;
    Ok(v1::RepositoryPage {
        items: select(found.repositories.into_iter(), &input.query),
        next_cursor: cursor.to_owned(),
        partial: call::left_out(response).is_some(),
    })
}

/// First page of the installation after the one that `at` is a page of.
fn following(
    cx: &Cx,
    input: &v1::ListRepositories,
    at: &str,
    all: &[Installation],
) -> Result<String> {
    let current = |one: &Installation| at.contains(&format!("/installations/{}/", one.id));
    let mut rest = all.iter().skip_while(|one| !current(one)).skip(1);
    match rest.find(|one| !one.is_suspended()) {
        Some(next) => {
            let url = repositories_of(cx, next)?;
            cursor_of(cx, &url.query("per_page", page_size(input.page_size)))
        }
        None => Ok(String::new()),
    }
}

fn repositories_of(cx: &Cx, installed: &Installation) -> Result<Url> {
    let id = installed.id.to_string();
    cx.api(&["user", "installations", &id, "repositories"])
}

fn is_on(installed: &Installation, owner: &str) -> bool {
    let account = installed.account.as_ref();
    account.is_some_and(|account| account.name().eq_ignore_ascii_case(owner))
}

fn is_other_account(cx: &Cx, owner: &str) -> bool {
    let login = cx.credential().login.as_str();
    !owner.is_empty() && !login.is_empty() && !owner.eq_ignore_ascii_case(login)
}

/// The owner has the app suspended, or not at all.
fn refused(cx: &Cx, suspended: Option<&Installation>) -> Failure {
    match suspended {
        Some(one) => installation::suspended(one.page(cx)),
        None => elsewhere(format!("{}/settings/installations", cx.web_base())),
    }
}

fn elsewhere(page: String) -> Failure {
    Failure::not_installed("the app is not installed on the account of this name", page)
}
