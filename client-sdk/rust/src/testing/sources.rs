//! Sources, their hooks and deliveries.

use std::collections::BTreeMap;

use bindery_proto::v1::{
    self as proto, CleanupStep, Delivery, Hook, HookRotation, HookRotationReport, OrphanHook,
    Source, cleanup_step, delivery, hook, hook_rotation, source_service_server::SourceService,
};
use tonic::{Code, Request, Response, Status};

use super::{
    Refusal,
    refusal::not_found,
    world::{Keyed, State, World, after, filtered, keyed, now, wrong},
};
use crate::names::{LinkName, RepositoryName};

/// What the double knows about sources.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) all: BTreeMap<String, Source>,
    pub(super) deliveries: BTreeMap<String, Vec<Delivery>>,
    pub(super) orphans: Vec<OrphanHook>,
    pub(super) unreachable: Vec<String>,
    /// Sources whose hook can't be changed, and why.
    pub(super) stubborn: BTreeMap<String, String>,
    rotations: BTreeMap<String, (HookRotation, Vec<HookRotationReport>)>,
}

impl Keyed for proto::GetSourceRequest {}
impl Keyed for proto::ListSourcesRequest {}
impl Keyed for proto::VerifySourceRequest {}
impl Keyed for proto::GetHookRotationRequest {}
impl Keyed for proto::ListHookRotationReportsRequest {}
impl Keyed for proto::ListDeliveriesRequest {}
impl Keyed for proto::GetDeliveryRequest {}
impl Keyed for proto::ListOrphanHooksRequest {}
keyed!(
    CreateSourceRequest,
    UpdateSourceRequest,
    DeleteSourceRequest,
    RepairSourceRequest,
    RotateHookSecretsRequest,
    CatchUpSourceRequest,
    RetryDeliveryRequest,
    RemoveOrphanHooksRequest
);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl SourceService for World {
    async fn create_source(&self, request: Request<proto::CreateSourceRequest>) -> Answer<Source> {
        self.enter("CreateSource", &request)?;
        let request = request.into_inner();
        let mut state = self.lock();
        let source = state.new_source(&request)?;
        if !request.validate_only {
            state
                .sources
                .all
                .insert(source.name.clone(), source.clone());
        }
        Ok(Response::new(source))
    }

    async fn get_source(&self, request: Request<proto::GetSourceRequest>) -> Answer<Source> {
        self.enter("GetSource", &request)?;
        let name = request.into_inner().name;
        self.lock().source(&name).cloned().map(Response::new)
    }

    async fn list_sources(
        &self,
        request: Request<proto::ListSourcesRequest>,
    ) -> Answer<proto::ListSourcesResponse> {
        self.enter("ListSources", &request)?;
        let request = request.into_inner();
        let state = self.lock();
        let asked = |source: &&Source| {
            below(&source.name, &request.parent)
                && filtered(&request.filter, "repository", &source.repository_full_name)
                && filtered(&request.filter, "hook.state", &hook_state(source))
        };
        let all: Vec<_> = state.sources.all.values().filter(asked).cloned().collect();
        let (sources, next_page_token) =
            state.page(&all, request.page_size, &request.page_token)?;
        Ok(Response::new(proto::ListSourcesResponse {
            sources,
            next_page_token,
        }))
    }

    async fn update_source(&self, request: Request<proto::UpdateSourceRequest>) -> Answer<Source> {
        self.enter("UpdateSource", &request)?;
        let request = request.into_inner();
        let change = request.source.unwrap_or_default();
        let mut state = self.lock();
        let mut source = state.source(&change.name)?.clone();
        if !change.etag.is_empty() && change.etag != source.etag {
            let message = format!("{} changed meanwhile; read it again", change.name);
            return Err(Refusal::new(Code::Aborted, "ETAG_MISMATCH", message).into());
        }
        for path in request.update_mask.unwrap_or_default().paths {
            update(&mut source, &change, &path)?;
        }
        if !request.validate_only {
            source.etag = state.next().to_string();
            state.sources.all.insert(change.name, source.clone());
        }
        Ok(Response::new(source))
    }

    async fn delete_source(
        &self,
        request: Request<proto::DeleteSourceRequest>,
    ) -> Answer<proto::DeleteSourceResponse> {
        self.enter("DeleteSource", &request)?;
        let request = request.into_inner();
        let mut state = self.lock();
        let found = state.source(&request.name).cloned();
        let source = match found {
            Err(_) if request.allow_missing => {
                return Ok(Response::new(proto::DeleteSourceResponse::default()));
            }
            found => found?,
        };
        if !request.validate_only {
            state.sources.all.remove(&request.name);
        }
        let steps = if request.keep_hook {
            Vec::new()
        } else {
            vec![removal(
                &source,
                state.sources.stubborn.contains_key(&source.name),
            )]
        };
        Ok(Response::new(proto::DeleteSourceResponse { steps }))
    }

    async fn verify_source(&self, request: Request<proto::VerifySourceRequest>) -> Answer<Source> {
        self.enter("VerifySource", &request)?;
        let name = request.into_inner().name;
        self.lock().source(&name).cloned().map(Response::new)
    }

    async fn repair_source(&self, request: Request<proto::RepairSourceRequest>) -> Answer<Source> {
        self.enter("RepairSource", &request)?;
        let name = request.into_inner().name;
        let mut state = self.lock();
        state.source(&name)?;
        if let Some(reason) = state.sources.stubborn.get(&name) {
            let message = "the hook can't be changed; ask an owner of the repository";
            return Err(Refusal::new(Code::FailedPrecondition, reason, message).into());
        }
        let source = state.sources.all.get_mut(&name);
        let source = source.ok_or_else(|| not_found(&name))?;
        source.hook = Some(verified());
        Ok(Response::new(source.clone()))
    }

    async fn rotate_hook_secrets(
        &self,
        request: Request<proto::RotateHookSecretsRequest>,
    ) -> Answer<HookRotation> {
        self.enter("RotateHookSecrets", &request)?;
        let request = request.into_inner();
        let mut state = self.lock();
        Ok(Response::new(state.rotate(&request)))
    }

    async fn get_hook_rotation(
        &self,
        request: Request<proto::GetHookRotationRequest>,
    ) -> Answer<HookRotation> {
        self.enter("GetHookRotation", &request)?;
        let name = request.into_inner().name;
        let mut state = self.lock();
        let known = state.sources.rotations.get_mut(&name);
        let (rotation, reports) = known.ok_or_else(|| not_found(&name))?;
        let before = rotation.clone();
        finish(rotation, reports);
        Ok(Response::new(before))
    }

    async fn list_hook_rotation_reports(
        &self,
        request: Request<proto::ListHookRotationReportsRequest>,
    ) -> Answer<proto::ListHookRotationReportsResponse> {
        self.enter("ListHookRotationReports", &request)?;
        let request = request.into_inner();
        let state = self.lock();
        let known = state.sources.rotations.get(&request.parent);
        let (_, all) = known.ok_or_else(|| not_found(&request.parent))?;
        let (reports, next_page_token) = state.page(all, request.page_size, &request.page_token)?;
        Ok(Response::new(proto::ListHookRotationReportsResponse {
            reports,
            next_page_token,
        }))
    }

    async fn catch_up_source(
        &self,
        request: Request<proto::CatchUpSourceRequest>,
    ) -> Answer<proto::CatchUpSourceResponse> {
        self.enter("CatchUpSource", &request)?;
        self.lock().source(&request.into_inner().name)?;
        Ok(Response::new(proto::CatchUpSourceResponse::default()))
    }

    async fn list_deliveries(
        &self,
        request: Request<proto::ListDeliveriesRequest>,
    ) -> Answer<proto::ListDeliveriesResponse> {
        self.enter("ListDeliveries", &request)?;
        let request = request.into_inner();
        let state = self.lock();
        state.source(&request.parent)?;
        let all = state.sources.deliveries.get(&request.parent);
        let asked = |one: &&Delivery| request.state == 0 || one.state == request.state;
        let newest = all.into_iter().flatten().rev().filter(asked);
        let all: Vec<_> = newest.cloned().map(|one| shown(one, false)).collect();
        let (deliveries, next_page_token) =
            state.page(&all, request.page_size, &request.page_token)?;
        Ok(Response::new(proto::ListDeliveriesResponse {
            deliveries,
            next_page_token,
        }))
    }

    async fn get_delivery(&self, request: Request<proto::GetDeliveryRequest>) -> Answer<Delivery> {
        self.enter("GetDelivery", &request)?;
        let request = request.into_inner();
        let delivery = self.lock().delivery(&request.name)?.clone();
        Ok(Response::new(shown(delivery, request.include_body)))
    }

    async fn retry_delivery(
        &self,
        request: Request<proto::RetryDeliveryRequest>,
    ) -> Answer<Delivery> {
        self.enter("RetryDelivery", &request)?;
        let name = request.into_inner().name;
        let mut state = self.lock();
        let delivery = state.delivery(&name)?;
        delivery.state = delivery::State::Processed.into();
        delivery.message.clear();
        Ok(Response::new(shown(delivery.clone(), false)))
    }

    async fn list_orphan_hooks(
        &self,
        request: Request<proto::ListOrphanHooksRequest>,
    ) -> Answer<proto::ListOrphanHooksResponse> {
        self.enter("ListOrphanHooks", &request)?;
        let request = request.into_inner();
        let state = self.lock();
        let asked = |hook: &&OrphanHook| below(&format!("{}/", hook.link), &request.parent);
        let all: Vec<_> = state
            .sources
            .orphans
            .iter()
            .filter(asked)
            .cloned()
            .collect();
        let (hooks, next_page_token) = state.page(&all, request.page_size, &request.page_token)?;
        let unreachable = state.sources.unreachable.clone();
        Ok(Response::new(proto::ListOrphanHooksResponse {
            hooks,
            next_page_token,
            unreachable,
        }))
    }

    async fn remove_orphan_hooks(
        &self,
        request: Request<proto::RemoveOrphanHooksRequest>,
    ) -> Answer<proto::RemoveOrphanHooksResponse> {
        self.enter("RemoveOrphanHooks", &request)?;
        let request = request.into_inner();
        let mut state = self.lock();
        let step = |hook: &OrphanHook| CleanupStep {
            kind: cleanup_step::Kind::DeleteHook.into(),
            outcome: cleanup_step::Outcome::Done.into(),
            subject: hook.repository_full_name.clone(),
            message: "the hook is deleted".to_owned(),
            ..CleanupStep::default()
        };
        let steps = request.hooks.iter().map(step).collect();
        if !request.validate_only {
            let kept = |hook: &OrphanHook| !request.hooks.contains(hook);
            state.sources.orphans.retain(kept);
        }
        Ok(Response::new(proto::RemoveOrphanHooksResponse { steps }))
    }
}

impl State {
    pub(super) fn source(&self, name: &str) -> Result<&Source, Status> {
        self.sources.all.get(name).ok_or_else(|| not_found(name))
    }

    pub(super) fn new_source(
        &mut self,
        request: &proto::CreateSourceRequest,
    ) -> Result<Source, Status> {
        let link: LinkName = request
            .parent
            .parse()
            .map_err(|_| not_found(&request.parent))?;
        let template = request.source.clone();
        let template = template.ok_or_else(|| wrong("INVALID_ARGUMENT", "source"))?;
        let repository = RepositoryName::new(&link, &*template.repository).to_string();
        let repository = self.repository(&repository)?;
        let prefix = format!("{}/", request.parent);
        let same =
            |one: &&Source| one.name.starts_with(&prefix) && one.repository == repository.stable_id;
        if let Some(there) = self.sources.all.values().find(same) {
            let message = "the repository is connected already; use the source that is there";
            let refusal = Refusal::new(Code::AlreadyExists, "SOURCE_EXISTS", message);
            return Err(refusal.fact("source", &there.name).into());
        }
        let number = self.next();
        let id = match request.source_id.as_str() {
            "" => format!("source-{number}"),
            id => id.to_owned(),
        };
        Ok(Source {
            name: format!("{prefix}sources/{id}"),
            repository: repository.stable_id,
            repository_full_name: repository.full_name,
            hook: Some(verified()),
            create_time: now(),
            etag: number.to_string(),
            ..template
        })
    }

    fn delivery(&mut self, name: &str) -> Result<&mut Delivery, Status> {
        let mut all = self.sources.deliveries.values_mut().flatten();
        all.find(|one| one.name == name)
            .ok_or_else(|| not_found(name))
    }

    /// It is done when it is looked at a second time.
    fn rotate(&mut self, request: &proto::RotateHookSecretsRequest) -> HookRotation {
        let asked = |source: &&Source| {
            below(&source.name, &request.parent)
                && filtered(&request.filter, "repository", &source.repository_full_name)
        };
        let until = request.overlap.and_then(|time| time.try_into().ok());
        let report = |source: &Source| {
            let reason = self.sources.stubborn.get(&source.name).cloned();
            HookRotationReport {
                source: source.name.clone(),
                state: hook_rotation::State::Running.into(),
                message: reason
                    .as_ref()
                    .map_or("", |_| "the old secret goes on working")
                    .to_owned(),
                reason: reason.unwrap_or_default(),
                previous_secret_until_time: until.and_then(after),
            }
        };
        let reports: Vec<_> = self
            .sources
            .all
            .values()
            .filter(asked)
            .map(report)
            .collect();
        let number = self.next();
        let rotation = HookRotation {
            name: format!("{}/hookRotations/rotation-{number}", request.parent),
            state: hook_rotation::State::Running.into(),
            total_count: i32::try_from(reports.len()).unwrap_or(i32::MAX),
            overlap: request.overlap,
            create_time: now(),
            ..HookRotation::default()
        };
        if !request.validate_only {
            let kept = (rotation.clone(), reports);
            self.sources.rotations.insert(rotation.name.clone(), kept);
        }
        rotation
    }
}

fn finish(rotation: &mut HookRotation, reports: &mut [HookRotationReport]) {
    let mut counts = (0, 0);
    for report in reports {
        let failed = !report.reason.is_empty();
        let (count, state) = if failed {
            (&mut counts.1, hook_rotation::State::DoneWithFailures)
        } else {
            (&mut counts.0, hook_rotation::State::Done)
        };
        *count += 1;
        report.state = state.into();
    }
    (rotation.done_count, rotation.failed_count) = counts;
    let state = match counts.1 {
        0 => hook_rotation::State::Done,
        _ => hook_rotation::State::DoneWithFailures,
    };
    rotation.state = state.into();
    rotation.finish_time = now();
}

fn update(source: &mut Source, change: &Source, path: &str) -> Result<(), Status> {
    let change = change.clone();
    match path {
        "display_name" => source.display_name = change.display_name,
        "rules" => source.rules = change.rules,
        "max_triggers_per_minute" => {
            source.max_triggers_per_minute = change.max_triggers_per_minute;
        }
        "ignore_skip_marks" => source.ignore_skip_marks = change.ignore_skip_marks,
        "paused" => source.paused = change.paused,
        "reconcile_interval" => source.reconcile_interval = change.reconcile_interval,
        "labels" => source.labels = change.labels,
        "annotations" => source.annotations = change.annotations,
        "repository" => return Err(wrong("FIELD_IMMUTABLE", "update_mask")),
        _ => return Err(wrong("UPDATE_MASK_INVALID", "update_mask")),
    }
    Ok(())
}

fn removal(source: &Source, stubborn: bool) -> CleanupStep {
    let step = CleanupStep {
        kind: cleanup_step::Kind::DeleteHook.into(),
        subject: source.repository_full_name.clone(),
        finish_time: now(),
        ..CleanupStep::default()
    };
    if stubborn {
        return CleanupStep {
            outcome: cleanup_step::Outcome::Impossible.into(),
            action_uri: format!(
                "https://forge.example/{}/hooks",
                source.repository_full_name
            ),
            message: "the hook stays; remove it on its page".to_owned(),
            ..step
        };
    }
    CleanupStep {
        outcome: cleanup_step::Outcome::Done.into(),
        message: "the hook is deleted".to_owned(),
        ..step
    }
}

fn shown(mut delivery: Delivery, with_body: bool) -> Delivery {
    delivery.body_size = i64::try_from(delivery.body.len()).unwrap_or(i64::MAX);
    if !with_body {
        delivery.body.clear();
    }
    delivery
}

fn verified() -> Hook {
    Hook {
        stable_id: "4711".to_owned(),
        state: hook::State::Verified.into(),
        message: "deliveries arrive".to_owned(),
        delivery_uri: "https://bindery.example/hooks/5d41402abc4b2a76".to_owned(),
        verify_time: now(),
        source_count: 1,
        ..Hook::default()
    }
}

fn hook_state(source: &Source) -> String {
    let hook = source.hook.clone().unwrap_or_default();
    let state = hook.state().as_str_name();
    state.trim_start_matches("STATE_").to_owned()
}

/// Whether a name is below a parent in which `-` stands for any id.
pub(super) fn below(name: &str, parent: &str) -> bool {
    let mut parts = name.split('/');
    parent.split('/').all(|wanted| {
        parts
            .next()
            .is_some_and(|part| wanted == "-" || wanted == part)
    })
}
