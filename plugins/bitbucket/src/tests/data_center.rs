//! Bitbucket Data Center, below a context path

use super::*;

mod account;
mod delivery;
mod hooks;
mod lists;
mod single;

fn api(path: &str) -> String {
    format!("https://git.test/bitbucket/rest/api/latest{path}")
}

/// A page of a list, the last one where there is no next one.
fn page(values: &str, next: Option<u32>) -> Reply {
    let end = match next {
        Some(next) => format!(r#""isLastPage":false,"nextPageStart":{next}"#),
        None => r#""isLastPage":true,"nextPageStart":null"#.to_owned(),
    };
    Reply::json(200, format!(r#"{{"values":[{values}],"start":0,{end}}}"#))
}

fn repository(id: u32, project: &str, slug: &str) -> String {
    format!(
        r#"{{"id":{id},"slug":"{slug}","name":"{slug}","project":{{"key":"{project}","id":1,"public":false}},"public":false,
        "links":{{"clone":[{{"name":"ssh","href":"ssh://git@git.test:7999/x.git"}},
        {{"name":"http","href":"https://jane@git.test/bitbucket/scm/x/{slug}.git"}}]}}}}"#
    )
}

/// An error as the server writes it.
fn error(status: u16, exception: &str) -> Reply {
    Reply::json(
        status,
        format!(
            r#"{{"errors":[{{"context":null,"message":"no","exceptionName":"com.atlassian.bitbucket.{exception}"}}]}}"#
        ),
    )
}

fn properties() -> Reply {
    Reply::json(200, r#"{"version":"9.2.0","displayName":"Bitbucket"}"#)
}
