//! Every recorded answer of the API, whatever it is of, is met without a panic and without repeating what it holds

#![forbid(unsafe_code)]

use bindery_plugin_gitee::Gitee;
use bindery_plugin_sdk::{
    testing::{Corpus, Driver, Reply, Run},
    v1::{self, Code},
};

const API: &str = "https://gitee.test/api/v5";

fn on(path: &str, reply: &Reply) -> Driver<Gitee> {
    Driver::new()
        .host("https://gitee.test", API)
        .on("GET", &format!("{API}{path}"), reply.clone())
}

/// The operations whose first question takes an answer of any kind.
fn ask_everything(reply: &Reply) -> Vec<Run> {
    let repository = v1::GetRepository {
        repository: "a/b".to_owned(),
    };
    let tags = v1::ListRefs {
        repository: "a/b".to_owned(),
        kind: v1::RefKind::Tag.into(),
        ..v1::ListRefs::default()
    };
    vec![
        on("/user", reply).run(v1::Identify {}),
        on("/user", reply).run(v1::InspectToken {}),
        on("/user", reply).run(v1::Probe {}),
        on("/repos/a/b", reply).run(repository),
        on("/repos/a/b/tags?page=1&per_page=100", reply).run(tags),
        on("/user/repos?page=1&per_page=100", reply).run(v1::ListRepositories::default()),
    ]
}

/// Every file: a result or a failure of the provider's, and never a panic; the password of a hook, which this provider
/// writes in clear, is not repeated.
#[test]
fn every_file_is_met() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let mut met = 0;
    for (name, reply) in corpus.replies("gitee/api") {
        for run in ask_everything(&reply) {
            let raised = run.outcome.as_ref().err().map(v1::Failure::code);
            assert!(raised < Some(Code::Panic), "{name}: {raised:?}");
            let said = format!("{:?} {:?}", run.outcome, run.logs);
            assert!(!said.contains("123asdas123"), "{name}");
        }
        met += 1;
    }
    assert_eq!(met, 8);
}
