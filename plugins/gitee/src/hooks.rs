//! Hooks of a repository
//!
//! The description knows them as forms, so that is what is sent. It is older than the signature mode, whose member it lacks.
//! Each operation asks for the repository first: a 404 that comes later is the hook's, or hides it from who does not
//! administer the repository. Responses echo the password; they are read by the members that matter, and repeated nowhere.

mod facts;

use bindery_plugin_sdk::{
    Cx, Failure, Form, Request, Response, Result, Secret, Url,
    v1::{self, Code, HookSupport, RevocationOutcome, SignatureKind, SignatureScheme},
};

use crate::{
    call,
    paging::{List, is_enough, page_size},
    repositories::{self, split},
};
use facts::Hook;

/// Name of the scheme that signs a time, which at least does not show the secret.
const SIGNATURE: &str = "signature";

/// Name of the scheme that shows the secret itself, in a header and in the body.
const PASSWORD: &str = "password";

/// What webhooks are like here. Neither scheme covers the body, and a delivery has no id.
pub(crate) fn support() -> HookSupport {
    let scheme = |name: &str, kind: SignatureKind, timestamp_header: &str| SignatureScheme {
        name: name.to_owned(),
        kind: kind.into(),
        header: "x-gitee-token".to_owned(),
        timestamp_header: timestamp_header.to_owned(),
        weak: true,
        ..SignatureScheme::default()
    };
    HookSupport {
        schemes: vec![
            scheme(
                SIGNATURE,
                SignatureKind::TimestampHmacSha256,
                "x-gitee-timestamp",
            ),
            scheme(PASSWORD, SignatureKind::Token, ""),
        ],
        event_header: "x-gitee-event".to_owned(),
        headers: vec!["x-gitee-ping".to_owned()],
        ..HookSupport::default()
    }
}

/// A repository by the name that it has now.
struct Place {
    full_name: String,
    administered: bool,
}

impl Place {
    async fn find(cx: &Cx, repository: &str) -> Result<Self> {
        let found = repositories::get(cx, repository).await?;
        Ok(Self {
            full_name: found.full_name,
            administered: found.can_administer,
        })
    }

    fn path<'a>(&'a self, below: &[&'a str]) -> Result<Vec<&'a str>> {
        let (owner, name) = split(&self.full_name)?;
        Ok([&["repos", owner, name, "hooks"], below].concat())
    }

    fn url(&self, cx: &Cx, below: &[&str]) -> Result<Url> {
        cx.api(&self.path(below)?)
    }

    fn page(&self, cx: &Cx) -> Result<String> {
        let (owner, name) = split(&self.full_name)?;
        Ok(cx.web(&[owner, name, "hooks"])?.into())
    }

    /// The failure that a response stands for.
    fn failure(&self, cx: &Cx, response: &Response) -> Result<Failure> {
        let failure = call::failure(cx, response);
        let told = match failure.code() {
            Code::NotFound if self.administered => {
                Failure::not_found("the repository has no such hook")
            }
            Code::NotFound | Code::PermissionDenied => Failure::permission_denied(
                "only who administers the repository may see and change its hooks",
            )
            .with_action_uri(self.page(cx)?),
            Code::InvalidArgument => match refusal(response) {
                Some(failure) => failure.with_action_uri(self.page(cx)?),
                None => return Ok(failure),
            },
            _ => return Ok(failure),
        };
        Ok(told.with_status(response.status()))
    }

    fn check(&self, cx: &Cx, response: Response, status: u16) -> Result<Response> {
        if response.status() == status {
            Ok(response)
        } else {
            Err(self.failure(cx, &response)?)
        }
    }

    async fn send(&self, cx: &Cx, request: Request, status: u16) -> Result<Response> {
        self.check(cx, call::send(cx, request).await?, status)
    }

    async fn write(
        &self,
        cx: &Cx,
        request: Request,
        status: u16,
        scheme: &str,
    ) -> Result<v1::HookFacts> {
        let hook: Hook = self.send(cx, request, status).await?.json()?;
        Ok(hook.into_facts(&self.page(cx)?, scheme))
    }
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListHooks) -> Result<()> {
    let place = Place::find(cx, &input.repository).await?;
    let page = place.page(cx)?;
    let list = List {
        path: place.path(&[])?,
        fixed: &[],
        size: page_size(0),
    };
    for number in 1.. {
        let response = call::ask(cx, list.url(cx, number)?).await?;
        let response = place.check(cx, response, 200)?;
        let (found, more): (Vec<Hook>, bool) = list.read(cx, number, &response).await?;
        let facts = found.into_iter().map(|hook| hook.into_facts(&page, ""));
        cx.emit(v1::HookPage {
            items: facts.collect(),
        });
        if !more || is_enough(number, input.max_pages) {
            break;
        }
    }
    Ok(())
}

pub(crate) async fn create(cx: &Cx, input: &v1::CreateHook) -> Result<v1::HookFacts> {
    let form = settings(&input.url, &input.scheme)?;
    let place = Place::find(cx, &input.repository).await?;
    let request = Request::post(place.url(cx, &[])?).form(form);
    place.write(cx, request, 201, &input.scheme).await
}

pub(crate) async fn update(cx: &Cx, input: &v1::UpdateHook) -> Result<v1::HookFacts> {
    let form = settings(&input.url, &input.scheme)?;
    let place = Place::find(cx, &input.repository).await?;
    let request = Request::patch(place.url(cx, &[&input.hook_id])?).form(form);
    place.write(cx, request, 200, &input.scheme).await
}

pub(crate) async fn delete(cx: &Cx, input: &v1::DeleteHook) -> Result<v1::Revocation> {
    let place = Place::find(cx, &input.repository).await?;
    let request = Request::delete(place.url(cx, &[&input.hook_id])?);
    let (outcome, message) = match place.send(cx, request, 204).await {
        Ok(_) => (RevocationOutcome::Done, "the hook is deleted"),
        Err(failure) if failure.code() == Code::NotFound => (
            RevocationOutcome::AlreadyAbsent,
            "the repository has no such hook any more",
        ),
        Err(failure) => return Err(failure),
    };
    Ok(v1::Revocation {
        outcome: outcome.into(),
        message: message.to_owned(),
        ..v1::Revocation::default()
    })
}

pub(crate) async fn ping(cx: &Cx, input: &v1::PingHook) -> Result<()> {
    let place = Place::find(cx, &input.repository).await?;
    let request = Request::post(place.url(cx, &[&input.hook_id, "tests"])?);
    place.send(cx, request, 204).await.map(|_| ())
}

/// All that makes a hook. Pushes are on unless one says otherwise.
fn settings(url: &str, scheme: &str) -> Result<Form> {
    let mode = match scheme {
        PASSWORD => "0",
        SIGNATURE => "1",
        _ => {
            return Err(Failure::invalid_argument(
                "Gitee has the schemes signature and password",
            ));
        }
    };
    let form = Form::new()
        .field("url", url)
        .field("encryption_type", mode)
        .secret("password", Secret("hook_secret"))
        .field("push_events", "true")
        .field("tag_push_events", "true");
    let off = facts::UNWANTED.into_iter();
    Ok(off.fold(form, |form, name| form.field(name, "false")))
}

/// What Gitee does not take, as far as its words tell, which are Chinese or English.
fn refusal(response: &Response) -> Option<Failure> {
    let text = call::message(response).to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["上限", "最多", "超过", "limit", "maximum"]) {
        let told = "the repository has as many hooks as Gitee allows";
        Some(Failure::limit_reached(told))
    } else if says(&["已存在", "已经存在", "already", "exist"]) {
        let told = "the repository has a hook with this address already";
        Some(Failure::conflict(told))
    } else {
        None
    }
}
