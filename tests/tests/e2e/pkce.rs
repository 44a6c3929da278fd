//! O4: at each forge that looks at it, a code is worth nothing without the verifier that it was asked for with; the others are
//! the ones whose plugins say that they take no notice.
//!
//! Somebody puts a challenge of their own into a person's way to the forge: then the daemon's verifier is the wrong one. The
//! control goes the same way, and changes nothing.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use bindery_client::proto::v1::observed_state::Stage;
use bindery_tests::{
    bitbucket::{BitbucketCloudForge, BitbucketDataCenterForge},
    doorkeeper::Doorkeeper,
    forge::{Forge, GitHubForge, GiteaForge, TwinForge},
    gitea,
    oidc::Oidc,
};
use bindery_twins::{gitea::Gitea, gitee::Gitee, gitlab::GitLab};
use http::header::LOCATION;
use url::Url;

use crate::{
    tampering::{self, value, with},
    world::World,
};

/// The challenge of somebody else's verifier (RFC 7636 appendix B).
const FOREIGN: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// How long tokens live that nobody waits for, in seconds.
const LONG: u64 = 3600;

/// What a forge does with the challenge of a code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pkce {
    /// It refuses the code to who comes with another verifier.
    Checked,
    /// It takes no notice of it.
    Ignored,
}
use Pkce::{Checked, Ignored};

/// Each row as a test of its own, and all of them as a list of provider and edition.
macro_rules! rows {
    ($($(#[$doc:meta])+ fn $row:ident(): $edition:literal, $pkce:expr, $forge:ty, $start:expr;)+) => {
        $(
            $(#[$doc])+
            #[tokio::test(flavor = "multi_thread")]
            async fn $row() -> Result<()> {
                holds($start.await?, $pkce).await
            }
        )+

        /// Provider and edition of each row.
        const ROWS: &[(&str, &str)] = &[$((<$forge as Forge>::PLUGIN.name(), $edition)),+];
    };
}

rows! {
    /// O4: Bitbucket Cloud has no PKCE, and its plugin says so.
    fn o4_bitbucket_cloud_ignores_the_verifier(): "cloud", Ignored, BitbucketCloudForge, BitbucketCloudForge::start();
    /// O4: the twin of Bitbucket Data Center.
    fn o4_bitbucket_data_center_refuses_a_wrong_verifier(): "", Checked, BitbucketDataCenterForge, BitbucketDataCenterForge::start();
    /// O4: the twin of Gitea.
    fn o4_gitea_refuses_a_wrong_verifier(): "", Checked, TwinForge<Gitea>, TwinForge::<Gitea>::start(false);
    /// O4: Gitee takes no notice of PKCE, and its plugin says so.
    fn o4_gitee_ignores_the_verifier(): "", Ignored, TwinForge<Gitee>, TwinForge::<Gitee>::start(false);
    /// O4: the stand-in for GitHub, as github.com and GHE.com.
    fn o4_github_cloud_refuses_a_wrong_verifier(): "cloud", Checked, GitHubForge, GitHubForge::start_cloud();
    /// O4: the stand-in for GitHub, as an Enterprise Server.
    fn o4_github_enterprise_server_refuses_a_wrong_verifier(): "", Checked, GitHubForge, GitHubForge::start(true, None);
    /// O4: the twin of GitLab.
    fn o4_gitlab_refuses_a_wrong_verifier(): "", Checked, TwinForge<GitLab>, TwinForge::<GitLab>::start(false);
}

/// O4: a real Gitea refuses a wrong verifier.
#[tokio::test(flavor = "multi_thread")]
async fn o4_a_real_gitea_refuses_a_wrong_verifier() -> Result<()> {
    if let Err(reason) = gitea::Gitea::available() {
        bindery_tests::not_run(&reason);
        return Ok(());
    }
    holds(GiteaForge::start(LONG.try_into()?, true).await?, Checked).await
}

/// O4: GitLab's own OAuth library refuses a wrong verifier.
#[tokio::test(flavor = "multi_thread")]
async fn o4_a_real_doorkeeper_refuses_a_wrong_verifier() -> Result<()> {
    if let Err(reason) = Doorkeeper::available() {
        bindery_tests::not_run(&reason);
        return Ok(());
    }
    holds(Doorkeeper::start(LONG).await?, Checked).await
}

/// O4: a strict OAuth server refuses a wrong verifier.
#[tokio::test(flavor = "multi_thread")]
async fn o4_a_strict_server_refuses_a_wrong_verifier() -> Result<()> {
    if let Err(reason) = Oidc::available() {
        bindery_tests::not_run(&reason);
        return Ok(());
    }
    holds(Oidc::start(LONG).await?, Checked).await
}

/// Each provider and edition with OAuth has a row: those that are tampered with are all of them.
#[test]
fn o4_every_provider_has_a_row() {
    let all = |rows: &[(&'static str, &'static str)]| rows.iter().copied().collect::<BTreeSet<_>>();
    assert_eq!(all(ROWS), all(tampering::ROWS));
}

/// The forge does with PKCE what is said here, and the plugin says the same.
async fn holds<F: Forge>(forge: F, pkce: Pkce) -> Result<()> {
    let mut world = World::new(forge).await?;
    world.forge.lengthen()?;
    let said = world.has_pkce().await?;
    ensure!(said == (pkce == Checked), "the plugin says {said}");
    let (control, challenge) = stage(&mut world, "namespaces/globex", None).await?;
    ensure!(
        control == Stage::PendingConfirmation,
        "the right verifier is refused: {control:?}"
    );
    // A challenge goes along wherever the provider has a use for it.
    ensure!(challenge == (pkce == Checked), "a challenge: {challenge}");
    let (tampered, _) = stage(&mut world, "namespaces/acme", Some(FOREIGN)).await?;
    let taken = tampered == Stage::PendingConfirmation;
    ensure!(taken == (pkce == Ignored), "{tampered:?} by {pkce:?}");
    Ok(())
}

/// How far a link gets whose person agrees to what the daemon asked for, but for another challenge; and whether the daemon has
/// sent one along.
async fn stage<F: Forge>(
    world: &mut World<F>,
    namespace: &str,
    challenge: Option<&str>,
) -> Result<(Stage, bool)> {
    let (link, start) = world.start_link_in(namespace).await?;
    let mut browser = world.forge.browser();
    let page = browser.open(&Url::parse(&start)?).await?;
    let mut forms = page.forms().into_iter();
    let form = forms.find(|form| form.action.path().ends_with("/start"));
    let mut page = browser.submit(&form.context("no start form")?).await?;
    let away = page.location()?.context("no way to the forge")?;
    let hashed = value(&away, "code_challenge_method").is_ok_and(|method| method == "S256");
    let sent = hashed && value(&away, "code_challenge").is_ok();
    if challenge.is_some() {
        let changed = with(&away, "code_challenge_method", Some("S256"));
        let changed = with(&changed, "code_challenge", challenge);
        page.headers.insert(LOCATION, changed.as_str().parse()?);
    }
    let back = world.forge.agree(&mut browser, page).await?;
    let code = back.location()?.context("the forge leads nowhere")?;
    value(&code, "code").context("the forge gives no code")?;
    browser.follow(back).await?;
    let observed = world.get(&link).await?.observed;
    Ok((observed.context("no state")?.stage(), sent))
}
