//! Pages, repositories and refs

use serde_json::{Value, json};

use crate::{
    Twin as _,
    caller::Caller,
    http::{Request, Response},
    world::{Owner, Repository, Role},
};

use super::{Gitea, values};

/// Items of a page, unless asked otherwise
const USUAL: usize = 30;
/// `MAX_RESPONSE_ITEMS`
const MOST: usize = 50;

/// A page by `page` and `limit`
pub(super) fn page(web: &str, request: &Request, all: &[Value]) -> Response {
    let number = |name| request.query(name).and_then(|text| text.parse().ok());
    let limit = number("limit").unwrap_or(USUAL).clamp(1, MOST);
    let page = number("page").unwrap_or(1).max(1);
    let start = (page - 1).saturating_mul(limit).min(all.len());
    let end = (start + limit).min(all.len());
    let answer = Response::json(200, &Value::Array(all[start..end].to_vec()))
        .with("x-total-count", &all.len().to_string());
    let origin = url::Url::parse(web).map(|url| url.origin().ascii_serialization());
    let origin = origin.unwrap_or_default();
    let to = |page: usize, rel: &str| {
        let path = &request.path;
        format!("<{origin}{path}?limit={limit}&page={page}>; rel=\"{rel}\"")
    };
    let mut links = Vec::new();
    if end < all.len() {
        links.push(to(page + 1, "next"));
        links.push(to(all.len().div_ceil(limit), "last"));
    }
    if page > 1 {
        links.push(to(1, "first"));
        links.push(to(page - 1, "prev"));
    }
    match links.is_empty() {
        true => answer,
        false => answer.with("link", &links.join(",")),
    }
}

impl Gitea {
    pub(super) fn organizations(
        &self,
        caller: &Caller,
        request: &Request,
    ) -> Result<Response, Response> {
        self.needs(caller, "organization")?;
        let mine = self.state.world.groups.values();
        let mine = mine.filter(|group| group.members.contains_key(&caller.person));
        let all: Vec<_> = mine
            .map(|group| values::organization(&self.web, group))
            .collect();
        Ok(page(&self.web, request, &all))
    }

    pub(super) fn permissions(
        &self,
        caller: &Caller,
        login: &str,
        name: &str,
    ) -> Result<Response, Response> {
        self.needs(caller, "organization")?;
        let world = &self.state.world;
        let (person, group) = (world.person(login), world.group(name));
        let (Some(person), Some(group)) = (person, group) else {
            return Err(self.not_found());
        };
        let role = world.role_in_group(person.id, group.id);
        Ok(Response::json(
            200,
            &json!({
                "is_owner": role >= Some(Role::Owner),
                "is_admin": role >= Some(Role::Admin),
                "can_write": role >= Some(Role::Write),
                "can_read": role >= Some(Role::Read),
                "can_create_repository": role >= Some(Role::Admin),
            }),
        ))
    }

    pub(super) fn own_repositories(
        &self,
        caller: &Caller,
        request: &Request,
    ) -> Result<Response, Response> {
        self.needs(caller, "repository")?;
        let mine = |found: &Repository| self.state.world.role(caller.person, found).is_some();
        Ok(self.page_of(caller, request, mine))
    }

    pub(super) fn repositories_of(
        &self,
        caller: &Caller,
        request: &Request,
        kind: &str,
        owner: &str,
    ) -> Result<Response, Response> {
        self.needs(caller, "repository")?;
        let world = &self.state.world;
        let owner = match kind {
            "orgs" => world.group(owner).map(|group| Owner::Group(group.id)),
            _ => world.person(owner).map(|person| Owner::Person(person.id)),
        };
        let owner = owner.ok_or_else(|| self.not_found())?;
        let listed =
            |found: &Repository| found.owner == owner && world.may_read(Some(caller.person), found);
        Ok(self.page_of(caller, request, listed))
    }

    /// A token with `public-only` gets a shorter list, and not a word about it
    fn page_of(
        &self,
        caller: &Caller,
        request: &Request,
        listed: impl Fn(&Repository) -> bool,
    ) -> Response {
        let hides = caller.has(&["public-only"]);
        let all = self.state.world.repositories.values();
        let all = all.filter(|found| listed(found) && !(hides && found.private));
        let all: Vec<_> = all.map(|found| self.value(caller, found)).collect();
        page(&self.web, request, &all)
    }

    fn value(&self, caller: &Caller, found: &Repository) -> Value {
        values::repository(&self.web, &self.state.world, caller.person, found)
    }

    pub(super) fn repository_by_id(&self, caller: &Caller, id: &str) -> Result<Response, Response> {
        let id = id.parse().ok();
        let found = id.and_then(|id: u64| self.state.world.repositories.get(&id));
        let found = found.ok_or_else(|| self.not_found())?;
        self.shown(caller, found)?;
        Ok(Response::json(200, &self.value(caller, found)))
    }

    pub(super) fn repository(
        &self,
        caller: &Caller,
        request: &Request,
        path: &str,
        rest: &[&str],
    ) -> Result<Response, Response> {
        let found = self.visible(caller, path, rest)?;
        let all = match rest {
            [] => return Ok(Response::json(200, &self.value(caller, found))),
            ["branches"] => values::branches(&self.web, &self.state.world, found),
            ["tags"] => values::tags(found),
            _ => return Err(self.not_found()),
        };
        Ok(page(&self.web, request, &all))
    }
}
