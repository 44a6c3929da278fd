//! Secrets of the public API stay out of `Debug`, and out of answers but for the few that hand one out.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::OnceLock;

use bindery_codegen::prost_reflect::{DescriptorPool, FieldDescriptor, Kind, Value};
use bindery_codegen::redact;
use bindery_proto::admin::v1 as admin;
use bindery_proto::{FILE_DESCRIPTOR_SET, v1};
use prost::Message;

const CANARY: &str = "canary-7f3a9c";

/// The answers whose purpose is to hand out a secret.
const HAND_OUTS: &[&str] = &[
    "bindery.v1.Authorization.authorization_uri",
    "bindery.v1.Authorization.user_code",
    "bindery.v1.Credential.token",
    "bindery.v1.CreateTriggerResponse.token",
    "bindery.v1.RotateTriggerTokenResponse.token",
    "bindery.v1.CreateSubscriptionResponse.signing_secret",
    "bindery.v1.RotateSubscriptionSecretResponse.signing_secret",
    "bindery.admin.v1.AddSlotResponse.recovery_shares",
];

type Show = fn(&[u8]) -> String;

/// Decodes the bytes as the message and prints it.
fn show<M: Message + Default + std::fmt::Debug>(bytes: &[u8]) -> String {
    format!("{0:?} {0:#?}", M::decode(bytes).expect("valid message"))
}

/// Every message with a secret, by its full name.
fn messages() -> BTreeMap<&'static str, Show> {
    BTreeMap::from([
        ("bindery.v1.Host.Proxy", show::<v1::host::Proxy> as Show),
        (
            "bindery.v1.Host.ClientCertificate",
            show::<v1::host::ClientCertificate>,
        ),
        ("bindery.v1.Host.OAuthClient", show::<v1::host::OAuthClient>),
        ("bindery.v1.Host.App", show::<v1::host::App>),
        (
            "bindery.v1.UpdateHostRequest",
            show::<v1::UpdateHostRequest>,
        ),
        (
            "bindery.v1.SetUpAppHookRequest",
            show::<v1::SetUpAppHookRequest>,
        ),
        ("bindery.v1.Authorization", show::<v1::Authorization>),
        ("bindery.v1.AccessToken", show::<v1::AccessToken>),
        (
            "bindery.v1.CompleteLinkRequest",
            show::<v1::CompleteLinkRequest>,
        ),
        (
            "bindery.v1.ConfirmLinkRequest",
            show::<v1::ConfirmLinkRequest>,
        ),
        ("bindery.v1.Credential", show::<v1::Credential>),
        (
            "bindery.v1.CreateTriggerResponse",
            show::<v1::CreateTriggerResponse>,
        ),
        (
            "bindery.v1.RotateTriggerTokenResponse",
            show::<v1::RotateTriggerTokenResponse>,
        ),
        (
            "bindery.v1.CreateSubscriptionResponse",
            show::<v1::CreateSubscriptionResponse>,
        ),
        (
            "bindery.v1.RotateSubscriptionSecretResponse",
            show::<v1::RotateSubscriptionSecretResponse>,
        ),
        (
            "bindery.admin.v1.UnsealRequest",
            show::<admin::UnsealRequest>,
        ),
        (
            "bindery.admin.v1.AddSlotRequest",
            show::<admin::AddSlotRequest>,
        ),
        (
            "bindery.admin.v1.AddSlotResponse",
            show::<admin::AddSlotResponse>,
        ),
        (
            "bindery.admin.v1.VerifyRecoverySharesRequest",
            show::<admin::VerifyRecoverySharesRequest>,
        ),
        (
            "bindery.admin.v1.BackupRequest",
            show::<admin::BackupRequest>,
        ),
        (
            "bindery.admin.v1.RestoreSettings",
            show::<admin::RestoreSettings>,
        ),
        (
            "bindery.admin.v1.VerifyBackupSettings",
            show::<admin::VerifyBackupSettings>,
        ),
    ])
}

/// Both packages; decoded once, since it holds every comment.
fn pool() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| {
        let mut pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("valid descriptor set");
        pool.decode_file_descriptor_set(bindery_proto::admin::FILE_DESCRIPTOR_SET)
            .expect("valid descriptor set");
        pool
    })
}

fn own_fields() -> Vec<FieldDescriptor> {
    let ours = pool()
        .all_messages()
        .filter(|message| message.package_name().starts_with("bindery."));
    ours.flat_map(|message| message.fields().collect::<Vec<_>>())
        .collect()
}

fn secrets() -> Vec<FieldDescriptor> {
    own_fields()
        .into_iter()
        .filter(redact::is_redacted)
        .collect()
}

/// Whether the field has the behavior `INPUT_ONLY` (number 4 of `google.api.FieldBehavior`).
fn is_input_only(field: &FieldDescriptor) -> bool {
    let extension = pool()
        .get_extension_by_name("google.api.field_behavior")
        .expect("imported");
    let options = field.options();
    let behaviors = options.get_extension(&extension);
    behaviors
        .as_list()
        .is_some_and(|list| list.contains(&Value::EnumNumber(4)))
}

/// One length-delimited field with the canary in it.
fn planted(field: &FieldDescriptor) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::string::encode(field.number(), &CANARY.to_owned(), &mut bytes);
    bytes
}

/// L1: a canary in any secret field of any message is in no `Debug` output.
#[test]
fn l1_debug_of_every_message_with_a_secret_hides_it() {
    let messages = messages();
    for field in secrets() {
        let name = field.parent_message().full_name().to_owned();
        let show = messages
            .get(name.as_str())
            .unwrap_or_else(|| panic!("add {name} to the table"));
        let text = show(&planted(&field));
        let spelled = format!("{:?}", CANARY.as_bytes());
        assert!(
            !text.contains(CANARY) && !text.contains(&spelled),
            "{} is printed",
            field.full_name()
        );
        assert!(
            text.contains("[redacted]"),
            "{} is left out silently",
            field.full_name()
        );
    }
}

/// The control of the test above: a field that is no secret is printed, so a leak would be seen.
#[test]
fn debug_prints_what_is_no_secret() {
    let text = show::<v1::Credential>(
        &v1::Credential {
            git_username: CANARY.to_owned(),
            ..Default::default()
        }
        .encode_to_vec(),
    );
    assert!(text.contains(CANARY));
}

/// The table of messages names no message that has lost its secret.
#[test]
fn table_has_no_message_without_a_secret() {
    let with_secret: Vec<String> = secrets()
        .iter()
        .map(|field| field.parent_message().full_name().to_owned())
        .collect();
    for name in messages().keys() {
        assert!(
            with_secret.iter().any(|known| known == name),
            "{name} holds no secret"
        );
    }
}

/// Secrets are write-only: no answer holds one, but for those whose purpose it is.
#[test]
fn secrets_are_write_only_unless_handed_out_on_purpose() {
    for field in secrets() {
        let handed_out = HAND_OUTS.contains(&field.full_name());
        assert!(
            is_input_only(&field) != handed_out,
            "{} must be INPUT_ONLY",
            field.full_name()
        );
    }
    for name in HAND_OUTS {
        assert!(
            secrets().iter().any(|field| field.full_name() == *name),
            "{name} is gone"
        );
    }
}

/// What is write-only is redacted too.
#[test]
fn write_only_fields_are_redacted() {
    for field in own_fields().iter().filter(|field| is_input_only(field)) {
        assert!(
            redact::is_redacted(field),
            "{} lacks debug_redact",
            field.full_name()
        );
    }
}

/// A field whose name says that it holds a secret is redacted, or it is only facts about one.
#[test]
fn fields_named_like_a_secret_are_redacted() {
    // The last one names secrets by their fingerprints.
    const NO_SECRET: &[&str] = &["page_token", "next_page_token", "remove_client_secrets"];
    const WORDS: &[&str] = &[
        "token",
        "secret",
        "password",
        "passphrase",
        "private_key",
        "share",
    ];
    for field in own_fields() {
        let text = matches!(field.kind(), Kind::String | Kind::Bytes);
        let last = field.name().trim_end_matches('s');
        let suspicious = WORDS.iter().any(|word| last.ends_with(word));
        if text && suspicious && !NO_SECRET.contains(&field.name()) {
            assert!(
                redact::is_redacted(&field),
                "{} lacks debug_redact",
                field.full_name()
            );
        }
    }
}

/// G5: what reflection shows on the public listeners has no admin service; the admin set has one.
#[test]
fn g5_admin_services_are_in_their_own_descriptor_set() {
    let services = |set: &[u8]| -> Vec<String> {
        let pool = DescriptorPool::decode(set).expect("valid descriptor set");
        pool.services()
            .map(|service| service.full_name().to_owned())
            .collect()
    };
    let public = services(FILE_DESCRIPTOR_SET);
    assert!(!public.is_empty() && public.iter().all(|name| name.starts_with("bindery.v1.")));
    let admin = services(bindery_proto::admin::FILE_DESCRIPTOR_SET);
    assert_eq!(admin, ["bindery.admin.v1.AdminService"]);
}
