//! The functions of the boundary, called as a host calls them

use std::ptr;

use bindery_plugin_abi::OK;

use super::*;
use crate::{Cx, Result, v1};

#[derive(Default)]
struct Here;

impl Provider for Here {
    fn description() -> v1::Description {
        v1::Description {
            provider: "here".to_owned(),
            ..v1::Description::default()
        }
    }

    async fn probe(&self, cx: &Cx, _: v1::Probe) -> Result<v1::ServerFacts> {
        let request = crate::Request::get(cx.api(&["version"])?);
        let response = cx.send(request).await?;
        Ok(v1::ServerFacts {
            version: String::from_utf8_lossy(response.body()).into_owned(),
            ..v1::ServerFacts::default()
        })
    }
}

#[derive(Default)]
struct Broken;

impl Provider for Broken {
    fn description() -> v1::Description {
        panic!("no description")
    }
}

fn read<M: prost::Message + Default>(out: Slice) -> M {
    // SAFETY: each test reads before it uses the handle again.
    M::decode(unsafe { out.as_bytes() }).unwrap()
}

fn request() -> Vec<u8> {
    v1::OperationRequest {
        schema: 1,
        api_base: "https://api.test".to_owned(),
        input: Some(v1::operation_request::Input::Probe(v1::Probe {})),
        ..v1::OperationRequest::default()
    }
    .encode_to_vec()
}

/// An operation goes through the four functions, and the bytes of a step stay until the next call.
#[test]
fn an_operation_crosses_the_boundary() {
    let mut out = Slice::EMPTY;
    let mut handle = ptr::null_mut();
    let request = request();
    // SAFETY: all pointers are to locals.
    let status = unsafe { start::<Here>(Slice::new(&request), &raw mut handle, &raw mut out) };
    assert_eq!(status, OK);
    let step: v1::Step = read(out);
    assert_eq!(step.effects.len(), 1);
    let response = v1::HttpResponse {
        status: 200,
        body: b"1.2".to_vec(),
        ..v1::HttpResponse::default()
    };
    let results = v1::Resume {
        results: vec![v1::EffectResult {
            id: step.effects[0].id,
            kind: Some(v1::effect_result::Kind::Http(response)),
        }],
    }
    .encode_to_vec();
    // SAFETY: the handle is alive; the rest are locals.
    let status = unsafe { resume(handle, Slice::new(&results), &raw mut out) };
    assert_eq!(status, OK);
    let step: v1::Step = read(out);
    assert!(
        matches!(step.outcome, Some(v1::step::Outcome::Done(_))),
        "{step:?}"
    );
    // SAFETY: the handle is alive and dropped once.
    unsafe { drop(handle) };
}

/// P6: null pointers and impossible lengths are refused, garbage gives a handle and a typed failure.
#[test]
fn p6_wrong_arguments_are_refused() {
    let mut out = Slice::EMPTY;
    let mut handle = ptr::null_mut();
    let wrong = Slice {
        ptr: ptr::null(),
        len: 3,
    };
    // SAFETY: null is allowed, and is refused.
    assert_eq!(unsafe { describe::<Here>(ptr::null_mut()) }, ERR_ARG);
    // SAFETY: as above.
    let status = unsafe { start::<Here>(wrong, &raw mut handle, &raw mut out) };
    assert_eq!(status, ERR_ARG);
    // SAFETY: as above.
    let status = unsafe { resume(ptr::null_mut(), Slice::EMPTY, &raw mut out) };
    assert_eq!(status, ERR_ARG);
    // SAFETY: as above.
    unsafe { drop(ptr::null_mut()) };
    // SAFETY: all pointers are to locals.
    let status = unsafe { start::<Here>(Slice::new(b"\xff\xff"), &raw mut handle, &raw mut out) };
    assert_eq!(status, OK);
    let step: v1::Step = read(out);
    let Some(v1::step::Outcome::Failed(failure)) = step.outcome else {
        panic!("{step:?}");
    };
    assert_eq!(failure.code(), v1::Code::Protocol);
    // SAFETY: the handle is alive and dropped once.
    unsafe { drop(handle) };
}

/// P4: a description is static, carries what the SDK knows, and one that panics is a status.
#[test]
fn p4_a_description_is_static_or_a_status() {
    let (mut one, mut two) = (Slice::EMPTY, Slice::EMPTY);
    // SAFETY: all pointers are to locals.
    assert_eq!(unsafe { describe::<Here>(&raw mut one) }, OK);
    // SAFETY: as above.
    assert_eq!(unsafe { describe::<Here>(&raw mut two) }, OK);
    assert_eq!((one.ptr, one.len), (two.ptr, two.len));
    let description: v1::Description = read(one);
    assert_eq!((description.schema_min, description.schema_max), (1, 1));
    // SAFETY: as above.
    assert_eq!(unsafe { describe::<Broken>(&raw mut two) }, ERR_PANIC);
}
