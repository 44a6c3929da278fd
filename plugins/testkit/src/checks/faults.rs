//! Sixteen faults in every exchange

use anyhow::Result;
use bindery_plugin_proto::v1::{self, Code, effect_result, output};
use serde_json::Value;

use super::verdict;
use crate::{
    Fixture, Report, Subject,
    bench::Bench,
    fixture::Reply,
    play::{Answers, End, Played, Script, play, words},
    show,
};

/// How long a limited provider asks to wait.
const RETRY_AFTER: u32 = 7;

/// Deeper than any stack of a recursive parser.
const NESTING: usize = 100_000;

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Status(u16),
    Limited,
    HtmlError,
    HtmlPage,
    Truncated,
    Empty,
    WrongType,
    BadUtf8,
    Nested,
    NoStatus,
    Transport,
    WrongKind,
}

const FAULTS: [(&str, Fault); 16] = [
    ("401", Fault::Status(401)),
    ("403", Fault::Status(403)),
    ("404", Fault::Status(404)),
    ("429 with Retry-After", Fault::Limited),
    ("500", Fault::Status(500)),
    ("502 with HTML", Fault::HtmlError),
    ("200 with HTML", Fault::HtmlPage),
    ("truncated JSON", Fault::Truncated),
    ("an empty body", Fault::Empty),
    ("JSON of another type", Fault::WrongType),
    ("bytes that are no UTF-8", Fault::BadUtf8),
    ("100,000-fold nesting", Fault::Nested),
    ("304", Fault::Status(304)),
    ("status 0", Fault::NoStatus),
    ("a transport error", Fault::Transport),
    ("an answer of another kind", Fault::WrongKind),
];

pub(super) async fn check(
    subject: &Subject,
    bench: &mut Bench<'_>,
    report: &mut Report,
) -> Result<()> {
    for (name, fault) in FAULTS {
        let mut problems = Vec::new();
        let mut runs = 0;
        for fixture in &subject.fixtures {
            for (at, exchange) in fixture.exchanges.iter().enumerate() {
                if !fault.can_befall(&exchange.response) {
                    continue;
                }
                let worker = bench.worker().await?;
                let mut answers = Faulty {
                    script: Script::new(fixture),
                    at,
                    fault,
                    met: false,
                };
                let played = play(&worker, fixture.request_bytes()?, &mut answers).await;
                runs += 1;
                let verdict = judge(fixture, fault, &played, answers.met);
                report.count(&fixture.operation, verdict.is_ok());
                problems.extend(
                    verdict
                        .err()
                        .map(|how| format!("{}, exchange {}: {how}", fixture.name(), at + 1)),
                );
            }
        }
        let outcome = verdict(&problems).map(|_| format!("{runs} runs"));
        report.add("faults", name, outcome);
    }
    Ok(())
}

/// The fixture's answers but for one. What the plugin asks beyond the fixture, because of the fault, goes wrong as well.
struct Faulty<'a> {
    script: Script<'a>,
    at: usize,
    fault: Fault,
    met: bool,
}

impl Answers for Faulty<'_> {
    fn answer(&mut self, effect: &v1::Effect) -> Result<effect_result::Kind, String> {
        let exchanges = self.script.exchanges();
        let found = self.script.find(&show::effect(effect));
        match found {
            Some(at) if at != self.at => Ok(exchanges[at].response.answer()),
            Some(at) => {
                self.met = true;
                Ok(self.fault.answer(&exchanges[at].response))
            }
            None if self.met => Ok(self.fault.answer(&Reply::default())),
            None => Err("it asked for what is not in the fixture".to_owned()),
        }
    }
}

impl Fault {
    /// The daemon itself checks MACs and signs: no server's answer can go wrong there.
    const fn can_befall(self, recorded: &Reply) -> bool {
        let asked_the_daemon = recorded.verified.is_some() || recorded.signed.is_some();
        !asked_the_daemon || matches!(self, Self::Transport | Self::WrongKind)
    }

    fn answer(self, recorded: &Reply) -> effect_result::Kind {
        let json =
            |status, body: Vec<u8>| response(status, &[("content-type", "application/json")], body);
        let html = |status| {
            let page = b"<!DOCTYPE html><html><body>Something is wrong</body></html>";
            response(status, &[("content-type", "text/html")], page.to_vec())
        };
        let body = recorded.body();
        match self {
            Self::Status(304) => response(304, &[], Vec::new()),
            Self::Status(status) => json(status.into(), br#"{"message":"no"}"#.to_vec()),
            Self::Limited => {
                let wait = RETRY_AFTER.to_string();
                response(
                    429,
                    &[("retry-after", &wait)],
                    br#"{"message":"slow down"}"#.to_vec(),
                )
            }
            Self::HtmlError => html(502),
            Self::HtmlPage => html(200),
            Self::Truncated => match body.len() {
                0..=2 => json(200, b"{\"id\":".to_vec()),
                len => json(200, body[..len / 2].to_vec()),
            },
            Self::Empty => json(200, Vec::new()),
            Self::WrongType => json(200, b"\"a text\"".to_vec()),
            Self::BadUtf8 => json(200, b"{\"id\":\"\xff\xfe\x80\"}".to_vec()),
            Self::Nested => json(200, b"[".repeat(NESTING)),
            Self::NoStatus => response(0, &[], Vec::new()),
            Self::Transport => show::error(Code::Transport, "the connection was closed"),
            Self::WrongKind => match recorded.verified {
                Some(_) => json(200, b"{}".to_vec()),
                None => effect_result::Kind::Verified(true),
            },
        }
    }

    /// Failures that fit. Where a status is an answer (a token that is refused is not active), success fits too.
    fn codes(self) -> &'static [Code] {
        match self {
            Self::Status(401) => &[
                Code::Unauthenticated,
                Code::PermissionDenied,
                Code::ClientRefused,
            ],
            Self::Status(403) => &[
                Code::PermissionDenied,
                Code::ScopeMissing,
                Code::OrganizationRestricted,
                Code::ClientRefused,
            ],
            Self::Status(404) => &[
                Code::NotFound,
                Code::PermissionDenied,
                Code::Unauthenticated,
                Code::ClientRefused,
                Code::NotInstalled,
            ],
            Self::Limited => &[Code::RateLimited],
            Self::Status(304) => &[Code::MalformedResponse, Code::Upstream],
            Self::Status(_) | Self::HtmlError => &[Code::Upstream],
            Self::NoStatus => &[Code::MalformedResponse, Code::Upstream, Code::Transport],
            Self::Transport => &[Code::Transport],
            Self::WrongKind => &[Code::Protocol, Code::MalformedResponse, Code::Transport],
            _ => &[Code::MalformedResponse],
        }
    }

    /// Whether an operation may succeed all the same. Nobody can go on from these.
    fn ends_everything(self) -> bool {
        matches!(self, Self::Limited | Self::Transport | Self::WrongKind)
    }
}

fn response(status: u32, headers: &[(&str, &str)], body: Vec<u8>) -> effect_result::Kind {
    let header = |(name, value): &(&str, &str)| v1::PlainHeader {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    effect_result::Kind::Http(v1::HttpResponse {
        status,
        headers: headers.iter().map(header).collect(),
        body,
    })
}

fn judge(fixture: &Fixture, fault: Fault, played: &Played, met: bool) -> Result<(), String> {
    match &played.end {
        End::Broken(how) => Err(how.clone()),
        End::Unanswered(what) => Err(what.clone()),
        // Another exchange failed before, or the plugin did not need this one.
        End::Outcome(_) if !met => Ok(()),
        End::Outcome(Err(failure)) => fits(fault, failure),
        End::Outcome(Ok(_)) if fault.ends_everything() => Err("it succeeded".to_owned()),
        End::Outcome(Ok(_)) if is_emptied(fixture, played) => {
            Err("it gave an empty list in place of a failure".to_owned())
        }
        End::Outcome(Ok(_)) => Ok(()),
    }
}

fn fits(fault: Fault, failure: &v1::Failure) -> Result<(), String> {
    let codes = fault.codes();
    if !codes.contains(&failure.code()) {
        let names: Vec<_> = codes.iter().map(|code| show::code(*code)).collect();
        return Err(format!(
            "{}, expected {}",
            words(failure),
            names.join(" or ")
        ));
    }
    let told = u64::from(RETRY_AFTER) * 1000;
    if matches!(fault, Fault::Limited) && failure.retry_after_ms < told {
        return Err(format!(
            "RATE_LIMITED says to wait {} ms, Retry-After says {told}",
            failure.retry_after_ms
        ));
    }
    Ok(())
}

/// Nothing was found where the recording has something.
fn is_emptied(fixture: &Fixture, played: &Played) -> bool {
    let lists = [
        "organizations",
        "repositories",
        "refs",
        "hooks",
        "sent_deliveries",
    ];
    let items = |pages: &Value| {
        let pages = pages.as_array().into_iter().flatten();
        pages
            .map(|page| page["items"].as_array().map_or(0, Vec::len))
            .sum::<usize>()
    };
    let recorded: usize = lists.iter().map(|name| items(&fixture.expect[name])).sum();
    let found: usize = played.pages.iter().map(count).sum();
    recorded > 0 && found == 0
}

fn count(page: &output::Kind) -> usize {
    match page {
        output::Kind::Organizations(page) => page.items.len(),
        output::Kind::Repositories(page) => page.items.len(),
        output::Kind::Refs(page) => page.items.len(),
        output::Kind::Hooks(page) => page.items.len(),
        output::Kind::SentDeliveries(page) => page.items.len(),
        _ => 0,
    }
}
