//! Every recorded answer of the API, whatever it is of, is met without a panic and without repeating what it holds

#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use bindery_plugin_github::GitHub;
use bindery_plugin_sdk::{
    testing::{Corpus, Driver, Reply, Run, ended},
    v1::{self, Code},
};

const API: &str = "https://api.github.com";
const REPOSITORIES: &str = "/user/repos?affiliation=owner%2Ccollaborator%2Corganization_member&sort=full_name&per_page=100";

fn on(path: &str, reply: &Reply) -> Driver<GitHub> {
    Driver::new()
        .host("https://github.com", API)
        .edition("cloud")
        .on("GET", &format!("{API}{path}"), reply.clone())
}

/// The operations whose first question takes an answer of any kind.
fn ask_everything(reply: &Reply) -> Vec<Result<Run, String>> {
    let repository = v1::GetRepository {
        repository: "a/b".to_owned(),
    };
    vec![
        on("/user", reply).try_run(v1::Identify {}),
        on("/user", reply).try_run(v1::InspectToken {}),
        on("/meta", reply).try_run(v1::Probe {}),
        on("/repos/a/b", reply).try_run(repository),
        on(REPOSITORIES, reply).try_run(v1::ListRepositories::default()),
    ]
}

/// Every file: a result or a failure of the provider's, and never a panic.
#[test]
fn every_file_is_met() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let replies = corpus.replies("github/api");
    let files: BTreeSet<_> = replies.iter().map(|(name, _)| name.as_str()).collect();
    // Some of the files are lists of exchanges.
    assert_eq!((files.len(), replies.len()), (16, 25));
    for (name, reply) in &replies {
        let mut met = 0;
        for run in ask_everything(reply) {
            // A redirect and a page with a successor lead to another question, which has tests of its own.
            let Some(run) = ended(name, run) else {
                continue;
            };
            met += 1;
            let raised = run.outcome.as_ref().err().map(v1::Failure::code);
            assert!(raised < Some(Code::Panic), "{name}: {raised:?}");
        }
        assert!(met >= 2, "{name}: {met} operations met it");
    }
}
