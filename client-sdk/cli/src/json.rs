//! Messages of the API as JSON, in protobuf's own mapping.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::Value;

use crate::problem::{Exit, Problem};

static PUBLIC: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(bindery_proto::FILE_DESCRIPTOR_SET).ok());

static ADMIN: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(bindery_proto::admin::FILE_DESCRIPTOR_SET).ok());

/// Many messages by their full name.
pub(crate) fn list(name: &str, messages: &[impl Message]) -> Result<Value, Problem> {
    let values = messages.iter().map(|message| value(name, message));
    Ok(Value::Array(values.collect::<Result<_, _>>()?))
}

/// Reads a message by its full name; what it has no field for is an error.
pub(crate) fn read<M: Message + Default>(name: &str, value: &Value) -> Result<M, String> {
    let pool = PUBLIC.as_ref();
    let descriptor = pool.and_then(|pool| pool.get_message_by_name(name));
    let descriptor = descriptor.ok_or_else(|| format!("{name} is not known"))?;
    let dynamic = DynamicMessage::deserialize(descriptor, value.clone());
    let dynamic = dynamic.map_err(|error| error.to_string())?;
    dynamic.transcode_to().map_err(|error| error.to_string())
}

/// A message by its full name, such as `bindery.v1.Link`.
pub(crate) fn value(name: &str, message: &impl Message) -> Result<Value, Problem> {
    let pool = if name.starts_with("bindery.admin.") {
        &ADMIN
    } else {
        &PUBLIC
    };
    let failed = || Problem::new(Exit::Failure, format!("{name} can't be printed as JSON"));
    let descriptor = pool
        .as_ref()
        .and_then(|pool| pool.get_message_by_name(name))
        .ok_or_else(failed)?;
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())
        .map_err(|_| failed())?;
    serde_json::to_value(dynamic).map_err(|_| failed())
}
