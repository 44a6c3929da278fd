//! Branches and tags

use serde_json::{Value, json};

use crate::{
    http::{Request, Response},
    time,
    world::{Ref, Repository},
};

use super::{GitLab, access::Caller, paging, reply};

impl GitLab {
    /// `branches`, `branches/{name}`, `tags`, `tags/{name}`
    pub(super) fn repository(
        &self,
        caller: &Caller,
        request: &Request,
        id: &str,
        rest: &[&str],
    ) -> Result<Response, Response> {
        caller.needs(&["api", "read_api"])?;
        let repository = self.visible_project(caller, request, id)?;
        let (folder, missing) = match rest.first() {
            Some(&"branches") => ("refs/heads/", "404 Branch Not Found"),
            Some(&"tags") => ("refs/tags/", "404 Tag Not Found"),
            _ => return Err(reply::error(404, "404 Not Found")),
        };
        let all = repository.refs.iter();
        let mut named = all.filter_map(|found| Some((found, found.name.strip_prefix(folder)?)));
        if let Some(wanted) = rest.get(1) {
            let found = named.find(|(_, name)| name == wanted);
            let (found, name) = found.ok_or_else(|| reply::error(404, missing))?;
            return Ok(Response::json(
                200,
                &self.ref_value(repository, found, name),
            ));
        }
        let search = request.query("search").unwrap_or_default();
        let named = named.filter(|(_, name)| name.contains(search));
        let values: Vec<_> = named
            .map(|(found, name)| self.ref_value(repository, found, name))
            .collect();
        Ok(paging::by_offset(&self.web, request, &values))
    }

    fn ref_value(&self, repository: &Repository, found: &Ref, name: &str) -> Value {
        let commit = commit_value(repository, &found.commit);
        if found.name.starts_with("refs/tags/") {
            return json!({
                "name": name,
                "message": found.tag_object.as_ref().map_or("", |_| "an annotated tag"),
                "target": found.tag_object.as_ref().unwrap_or(&found.commit),
                "commit": commit,
                "release": null,
                "protected": false,
                "created_at": null,
            });
        }
        let main = name == repository.default_branch;
        let path = self.state.world.full_path(repository);
        json!({
            "name": name,
            "merged": false,
            "protected": main,
            "default": main,
            "developers_can_push": false,
            "developers_can_merge": false,
            "can_push": true,
            "web_url": format!("{}/{path}/-/tree/{name}", self.web),
            "commit": commit,
        })
    }
}

fn commit_value(repository: &Repository, id: &str) -> Value {
    let made = time::rfc3339(repository.created);
    json!({
        "id": id,
        "short_id": id.get(..8),
        "created_at": made,
        "parent_ids": [],
        "title": "a commit",
        "message": "a commit",
        "author_name": "Somebody",
        "author_email": "somebody@example.com",
        "authored_date": made,
        "committer_name": "Somebody",
        "committer_email": "somebody@example.com",
        "committed_date": made,
    })
}
