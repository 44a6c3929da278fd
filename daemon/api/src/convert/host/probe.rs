//! What a probe found, as verdicts.

use std::time::Duration;

use bindery_core::{
    exchange::{ProbeReport, ServerCertificate},
    problem::Problem,
};
use bindery_engine::hosts::{Leg, Probe, ProbedLeg};
use bindery_proto::v1::{
    self as wire,
    probe_host_response::{self as part, Layer, Outcome, Verdict},
};

use crate::convert::common::{finding, time};

pub(crate) fn response(probe: Probe) -> wire::ProbeHostResponse {
    let mut verdicts = Vec::new();
    for leg in &probe.legs {
        verdicts.extend(layers(leg));
        if leg.leg == Leg::Api && leg.used {
            verdicts.push(api(leg, &probe));
        }
    }
    let bad = |verdict: &Verdict| !verdict.informational && verdict.outcome() == Outcome::Failed;
    let facts = probe.server.as_ref().ok();
    wire::ProbeHostResponse {
        healthy: !verdicts.iter().any(bad),
        verdicts,
        server_version: facts.map(|facts| facts.version.clone()).unwrap_or_default(),
        clock_skew: probe.clock_skew_ms.map(skew),
        probe_time: Some(time(probe.at)),
        findings: probe.findings.into_iter().map(warning).collect(),
    }
}

/// How far a clock is ahead; negative where it is behind.
pub(super) fn skew(ms: i64) -> prost_types::Duration {
    prost_types::Duration {
        seconds: ms / 1000,
        nanos: i32::try_from(ms % 1000).unwrap_or_default() * 1_000_000,
    }
}

fn warning(problem: Problem) -> wire::Finding {
    wire::Finding {
        severity: wire::Severity::Warning.into(),
        ..finding(problem)
    }
}

fn layers(leg: &ProbedLeg) -> [Verdict; 4] {
    let ProbeReport {
        dns,
        tcp,
        tls,
        http,
        ..
    } = &leg.report;
    let took = &leg.report.took;
    [
        Verdict {
            addresses: leg
                .report
                .addresses
                .iter()
                .map(ToString::to_string)
                .collect(),
            ..verdict(leg, Layer::Dns, dns.as_ref(), took.dns)
        },
        verdict(leg, Layer::Tcp, tcp.as_ref(), took.tcp),
        Verdict {
            certificate: leg.report.certificate.as_ref().map(certificate),
            ..verdict(leg, Layer::Tls, tls.as_ref(), took.tls)
        },
        Verdict {
            http_status: leg.report.http_status.into(),
            ..verdict(leg, Layer::Http, http.as_ref(), took.http)
        },
    ]
}

/// What the plugin made of the API's answer; nothing, where there was no answer to make something of.
fn api(leg: &ProbedLeg, probe: &Probe) -> Verdict {
    let said = probe.server.as_ref().map(|facts| {
        let text = format!("{} {}", facts.product, facts.version);
        text.trim().to_owned()
    });
    let said = said.map_err(Clone::clone);
    let answered = matches!(leg.report.http, Some(Ok(_))) || said.is_ok();
    verdict(leg, Layer::Api, answered.then_some(&said), None)
}

fn verdict(
    leg: &ProbedLeg,
    layer: Layer,
    step: Option<&Result<String, Problem>>,
    took: Option<Duration>,
) -> Verdict {
    let (outcome, reason, message) = match step {
        None => (Outcome::Skipped, "", ""),
        Some(Ok(message)) => (Outcome::Ok, "", message.as_str()),
        Some(Err(problem)) => (
            Outcome::Failed,
            problem.reason.as_str(),
            problem.message.as_str(),
        ),
    };
    let number = match leg.leg {
        Leg::Web => part::Leg::Web,
        Leg::Api => part::Leg::Api,
        Leg::Git => part::Leg::Git,
    };
    Verdict {
        leg: number.into(),
        layer: layer.into(),
        outcome: outcome.into(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        elapsed: took.and_then(|took| took.try_into().ok()),
        uri: leg.url.clone(),
        informational: !leg.used,
        ..Verdict::default()
    }
}

fn certificate(shown: &ServerCertificate) -> part::ServerCertificate {
    part::ServerCertificate {
        subject: shown.subject.clone(),
        issuer: shown.issuer.clone(),
        names: shown.names.clone(),
        sha256: shown.sha256.clone(),
        expire_time: shown.expires.map(time),
    }
}
