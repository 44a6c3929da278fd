//! One request after the other
//!
//! The host chooses the handles; the plugin's own never leave this process.

#![expect(unsafe_code, reason = "vouches that an operation is alive")]

use std::collections::{BTreeMap, btree_map::Entry};

use bindery_plugin_abi::{
    ERR_ARG, OK, Op,
    frame::{Frame, Header, Kind},
};

use crate::{
    error::Fatal,
    plugin::{Answer, Plugin},
    wire::Wire,
};

/// Operations that were started and not dropped, by the host's handle.
type Operations = BTreeMap<u64, *mut Op>;

/// Serves until the host is gone.
pub(crate) fn serve(plugin: &mut Plugin, wire: &mut Wire) -> Result<(), Fatal> {
    let mut operations = Operations::new();
    while let Some(header) = wire.receive()? {
        if header.kind == Kind::Drop {
            drop_operation(plugin, &mut operations, header.handle);
            continue;
        }
        let body = wire.body(&header);
        let answer = match header.kind {
            Kind::Start => start(plugin, &mut operations, header.handle, body)?,
            Kind::Resume => resume(plugin, &operations, header.handle, body)?,
            Kind::Drop | Kind::Ready | Kind::Fatal => return Err(Fatal::NotARequest),
        };
        reply(wire, &header, &answer)?;
    }
    Ok(())
}

fn start<'a>(
    plugin: &'a mut Plugin,
    operations: &mut Operations,
    handle: u64,
    request: &[u8],
) -> Result<Answer<'a>, Fatal> {
    let Entry::Vacant(place) = operations.entry(handle) else {
        return Ok(WRONG);
    };
    let started = plugin.start(request)?;
    if started.answer.status == OK {
        place.insert(started.operation);
    }
    Ok(started.answer)
}

fn resume<'a>(
    plugin: &'a mut Plugin,
    operations: &Operations,
    handle: u64,
    results: &[u8],
) -> Result<Answer<'a>, Fatal> {
    match operations.get(&handle) {
        // SAFETY: an operation is in the map from its good start to its drop.
        Some(operation) => unsafe { plugin.resume(*operation, results) },
        None => Ok(WRONG),
    }
}

fn drop_operation(plugin: &mut Plugin, operations: &mut Operations, handle: u64) {
    if let Some(operation) = operations.remove(&handle) {
        // SAFETY: it was in the map, so it is alive, and it has just left the map for good.
        unsafe { plugin.drop_operation(operation) };
    }
}

fn reply(wire: &mut Wire, request: &Header, answer: &Answer<'_>) -> Result<(), Fatal> {
    wire.send(&Frame {
        kind: request.kind,
        handle: request.handle,
        status: answer.status,
        body: answer.bytes,
    })
}

/// The handle is not what the request needs.
const WRONG: Answer<'static> = Answer {
    status: ERR_ARG,
    bytes: &[],
};
