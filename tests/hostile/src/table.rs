//! The boundary, with lies that the SDK can't tell

#![expect(unsafe_code, reason = "what crosses the boundary is raw pointers")]

use std::ptr;

use bindery_plugin_sdk::{
    abi::{ERR_ARG, OK, Op, Slice},
    export, v1,
};
use prost::Message as _;

use crate::{attack, provider::Hostile};

/// What a handle of this plugin points to.
enum Handle {
    /// An operation of the SDK.
    Honest(*mut Op),
    /// A lie, and the bytes that the host borrows.
    Liar(Lie, Vec<u8>),
}

/// Steps that no SDK would make.
#[derive(Clone, Copy)]
enum Lie {
    Garbage,
    Empty,
    SameId,
    ManyEffects,
    NoKind,
    Forged,
    HugeLength,
    NullPointer,
    WildPointer,
    NullHandle,
    NegativeStatus,
    OddStatus,
    Panic,
}

fn lie(name: &str) -> Option<Lie> {
    Some(match name {
        "raw_garbage" => Lie::Garbage,
        "raw_empty" => Lie::Empty,
        "raw_same_id" => Lie::SameId,
        "raw_many_effects" => Lie::ManyEffects,
        "raw_no_kind" => Lie::NoKind,
        "raw_forged_code" => Lie::Forged,
        "raw_huge_length" => Lie::HugeLength,
        "raw_null_pointer" => Lie::NullPointer,
        "raw_wild_pointer" => Lie::WildPointer,
        "raw_null_handle" => Lie::NullHandle,
        "raw_negative_status" => Lie::NegativeStatus,
        "raw_odd_status" => Lie::OddStatus,
        "raw_panic" => Lie::Panic,
        _ => return None,
    })
}

impl Lie {
    /// The bytes of its step.
    fn bytes(self, api_base: &str) -> Vec<u8> {
        let effects = |ids: Vec<u32>| v1::Step {
            effects: ids.into_iter().map(|id| effect(id, api_base)).collect(),
            ..v1::Step::default()
        };
        match self {
            Self::SameId => effects(vec![1, 1]).encode_to_vec(),
            Self::ManyEffects => effects((1..=10_000).collect()).encode_to_vec(),
            Self::NoKind => v1::Step {
                effects: vec![v1::Effect { id: 1, kind: None }],
                ..v1::Step::default()
            }
            .encode_to_vec(),
            Self::Forged => v1::Step {
                outcome: Some(v1::step::Outcome::Failed(v1::Failure {
                    code: v1::Code::Crashed.into(),
                    message: "the daemon's words in a plugin's mouth".to_owned(),
                    ..v1::Failure::default()
                })),
                ..v1::Step::default()
            }
            .encode_to_vec(),
            Self::Empty => Vec::new(),
            _ => vec![0xff; 40],
        }
    }

    /// What is said to be the step.
    fn slice(self, bytes: &[u8]) -> Slice {
        let mut slice = Slice::new(bytes);
        match self {
            Self::HugeLength => slice.len = 1 << 40,
            Self::NullPointer => slice.ptr = ptr::null(),
            Self::WildPointer => slice.ptr = ptr::without_provenance(0x10),
            _ => {}
        }
        slice
    }

    fn status(self) -> i32 {
        match self {
            Self::NegativeStatus => ERR_ARG,
            Self::OddStatus => 7,
            _ => OK,
        }
    }
}

fn effect(id: u32, api_base: &str) -> v1::Effect {
    v1::Effect {
        id,
        kind: Some(v1::effect::Kind::Http(v1::HttpRequest {
            method: "GET".to_owned(),
            url: format!("{api_base}/user"),
            ..v1::HttpRequest::default()
        })),
    }
}

/// `start` of the boundary.
///
/// # Safety
///
/// As of the SDK.
pub(crate) unsafe extern "C" fn start(
    request: Slice,
    handle: *mut *mut Op,
    out: *mut Slice,
) -> i32 {
    // SAFETY: the worker's slice is valid during this call; nothing keeps the bytes.
    let message = v1::OperationRequest::decode(unsafe { request.as_bytes() }).unwrap_or_default();
    let name = attack::of(&message);
    attack::remember(name);
    let Some(lie) = name.and_then(lie) else {
        // SAFETY: by this function's contract.
        return unsafe { start_honest(request, handle, out) };
    };
    assert!(
        !matches!(lie, Lie::Panic),
        "panicked on purpose in a function that must not unwind"
    );
    let bytes = lie.bytes(&message.api_base);
    let slice = lie.slice(&bytes);
    let made = match lie {
        Lie::NullHandle => ptr::null_mut(),
        _ => Box::into_raw(Box::new(Handle::Liar(lie, bytes))).cast(),
    };
    // SAFETY: the worker's pointer is valid for one write.
    unsafe { handle.write(made) };
    // SAFETY: as above.
    unsafe { out.write(slice) };
    lie.status()
}

/// # Safety
///
/// As of the SDK.
unsafe fn start_honest(request: Slice, handle: *mut *mut Op, out: *mut Slice) -> i32 {
    let mut inner = ptr::null_mut();
    // SAFETY: by this function's contract, and `inner` is valid for one write.
    let status = unsafe { export::start::<Hostile>(request, &raw mut inner, out) };
    if status == OK {
        let made = Box::into_raw(Box::new(Handle::Honest(inner))).cast();
        // SAFETY: the worker's pointer is valid for one write.
        unsafe { handle.write(made) };
    }
    status
}

/// `resume` of the boundary.
///
/// # Safety
///
/// As of the SDK.
pub(crate) unsafe extern "C" fn resume(handle: *mut Op, results: Slice, out: *mut Slice) -> i32 {
    // SAFETY: made by `start` from a box of this type, alive, and borrowed by nobody else.
    match unsafe { &*handle.cast::<Handle>() } {
        // SAFETY: by this function's contract; the handle is the SDK's own.
        Handle::Honest(inner) => unsafe { export::resume(*inner, results, out) },
        Handle::Liar(lie, bytes) => {
            // SAFETY: the worker's pointer is valid for one write.
            unsafe { out.write(lie.slice(bytes)) };
            lie.status()
        }
    }
}

/// `drop` of the boundary.
///
/// # Safety
///
/// As of the SDK.
pub(crate) unsafe extern "C" fn drop(handle: *mut Op) {
    // SAFETY: made by `start` from a box of this type, and given back once.
    let handle = unsafe { Box::from_raw(handle.cast::<Handle>()) };
    if let Handle::Honest(inner) = *handle {
        // SAFETY: the SDK's own handle, given back once.
        unsafe { export::drop(inner) };
    }
}
