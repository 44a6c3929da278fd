//! Every recorded answer of the API, whatever it is of, is met without a panic and without repeating what it holds

#![forbid(unsafe_code)]

use bindery_plugin_bitbucket::Bitbucket;
use bindery_plugin_sdk::{
    testing::{Corpus, Driver, Reply, Run, ended},
    v1::{self, Code},
};

const CLOUD: &str = "https://api.bitbucket.org/2.0";
const DATA_CENTER: &str = "https://git.test/bitbucket/rest/api/latest";

fn cloud(path: &str, reply: &Reply) -> Driver<Bitbucket> {
    Driver::new()
        .edition("cloud")
        .host("https://bitbucket.org", CLOUD)
        .on("GET", &format!("{CLOUD}{path}"), reply.clone())
}

fn data_center(path: &str, reply: &Reply) -> Driver<Bitbucket> {
    Driver::new()
        .host("https://git.test/bitbucket", DATA_CENTER)
        .on("GET", &format!("{DATA_CENTER}{path}"), reply.clone())
}

fn repository() -> v1::GetRepository {
    v1::GetRepository {
        repository: "a/b".to_owned(),
    }
}

/// The operations of Cloud whose first question takes an answer of any kind.
fn ask_cloud(reply: &Reply) -> Vec<Result<Run, String>> {
    vec![
        cloud("/user", reply).try_run(v1::Identify {}),
        cloud("/user", reply).try_run(v1::InspectToken {}),
        cloud("/hook_events", reply).try_run(v1::Probe {}),
        cloud("/repositories/a/b", reply).try_run(repository()),
        cloud("/user/workspaces?pagelen=100&sort=slug", reply)
            .try_run(v1::ListOrganizations::default()),
    ]
}

/// The operations of Data Center whose first question takes an answer of any kind.
fn ask_data_center(reply: &Reply) -> Vec<Result<Run, String>> {
    vec![
        data_center("/application-properties", reply).try_run(v1::Probe {}),
        data_center("/projects/a/repos/b", reply).try_run(repository()),
    ]
}

fn meet(name: &str, runs: Vec<Result<Run, String>>) {
    let mut met = 0;
    for run in runs {
        // What is well-formed leads to another question, which has tests of its own.
        let Some(run) = ended(name, run) else {
            continue;
        };
        met += 1;
        let raised = run.outcome.as_ref().err().map(v1::Failure::code);
        assert!(raised < Some(Code::Panic), "{name}: {raised:?}");
        let said = format!("{:?} {:?}", run.outcome, run.logs);
        // The secret of the recorded webhooks.
        assert!(
            !name.contains("webhooks") || !said.contains("12345"),
            "{name}"
        );
    }
    assert!(met > 0, "{name}: nothing met it");
}

/// Every file of both: a result or a failure of the provider's, and never a panic; the secret of a hook is not repeated.
#[test]
fn every_file_is_met() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let (of_cloud, of_data_center) = (
        corpus.replies("bitbucket/api"),
        corpus.replies("bitbucket-dc/api"),
    );
    for (name, reply) in &of_cloud {
        meet(name, ask_cloud(reply));
    }
    for (name, reply) in &of_data_center {
        meet(name, ask_data_center(reply));
    }
    assert_eq!((of_cloud.len(), of_data_center.len()), (15, 9));
}
