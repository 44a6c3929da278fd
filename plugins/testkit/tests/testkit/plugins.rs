//! The plugins of this repository conform

use bindery_plugin_testkit::assert_conforms;

use crate::artifacts::{options, source};

/// The one to copy conforms.
#[test]
fn template_conforms() {
    assert_conforms(&options("template", &source("template").join("fixtures")));
}

/// Bitbucket in both editions: every operation, its pages and its errors, and faults in each exchange.
#[test]
fn bitbucket_conforms() {
    assert_conforms(&options("bitbucket", &source("bitbucket").join("fixtures")));
}

/// Gitea and Forgejo: every operation, its pages and its errors, and faults in each exchange.
#[test]
fn gitea_conforms() {
    assert_conforms(&options("gitea", &source("gitea").join("fixtures")));
}

/// Gitee: every operation, its pages and its errors, and faults in each exchange.
#[test]
fn gitee_conforms() {
    assert_conforms(&options("gitee", &source("gitee").join("fixtures")));
}

/// GitHub: every operation, its pages and its errors, and faults in each exchange.
#[test]
fn github_conforms() {
    assert_conforms(&options("github", &source("github").join("fixtures")));
}

/// GitLab below a path of its host: every operation, its pages and its errors, and faults in each exchange.
#[test]
fn gitlab_conforms() {
    assert_conforms(&options("gitlab", &source("gitlab").join("fixtures")));
}
