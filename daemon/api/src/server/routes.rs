//! Which services a listener has.

use bindery_proto::{
    admin::{self, v1::admin_service_server::AdminServiceServer},
    v1::{
        credential_service_server::CredentialServiceServer,
        event_service_server::EventServiceServer, host_service_server::HostServiceServer,
        link_service_server::LinkServiceServer, namespace_service_server::NamespaceServiceServer,
        provider_service_server::ProviderServiceServer,
        repository_service_server::RepositoryServiceServer,
        source_service_server::SourceServiceServer,
    },
};
use tonic_health::pb::health_server::HealthServer;

use crate::{Api, Limits, Surface, health::HealthService};

pub(super) use tonic::service::Routes;

/// Services of every surface, as health knows them; the admin service stands last.
const SERVICES: &[&str] = &[
    "bindery.v1.ProviderService",
    "bindery.v1.HostService",
    "bindery.v1.NamespaceService",
    "bindery.v1.LinkService",
    "bindery.v1.RepositoryService",
    "bindery.v1.CredentialService",
    "bindery.v1.SourceService",
    "bindery.v1.EventService",
    "bindery.admin.v1.AdminService",
];

/// Largest piece of a backup that is handed in, with what is around it.
const BACKUP_PIECE: usize = (1 << 20) + 1024;

/// Largest request about a host: it holds a CA bundle.
const HOST_REQUEST: usize = 1 << 20;

pub(super) fn routes(api: &Api, surface: Surface, limits: &Limits, reflection: bool) -> Routes {
    macro_rules! sized {
        ($server:ident, $request:expr) => {
            $server::new(api.clone())
                .max_decoding_message_size($request)
                .max_encoding_message_size(limits.response_bytes)
        };
    }
    let request = limits.request_bytes;
    let mut routes = Routes::new(sized!(ProviderServiceServer, request))
        .add_service(sized!(HostServiceServer, request.max(HOST_REQUEST)))
        .add_service(sized!(NamespaceServiceServer, request))
        .add_service(sized!(LinkServiceServer, request))
        .add_service(sized!(RepositoryServiceServer, request))
        .add_service(sized!(CredentialServiceServer, request))
        .add_service(sized!(SourceServiceServer, request))
        .add_service(sized!(EventServiceServer, request));
    let mut services = &SERVICES[..SERVICES.len() - 1];
    if surface == Surface::Admin {
        routes = routes.add_service(sized!(AdminServiceServer, request.max(BACKUP_PIECE)));
        services = SERVICES;
    }
    let health = HealthService::new(api.engine().clone(), services);
    routes = routes.add_service(HealthServer::new(health));
    if reflection {
        routes = with_reflection(routes, surface);
    }
    routes.prepare()
}

/// Reflection in both versions, over the services of this surface only (THREATS G8).
fn with_reflection(routes: Routes, surface: Surface) -> Routes {
    let builder = || {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(bindery_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        match surface {
            Surface::Public => builder,
            Surface::Admin => {
                builder.register_encoded_file_descriptor_set(admin::FILE_DESCRIPTOR_SET)
            }
        }
    };
    match (builder().build_v1(), builder().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => routes.add_service(v1).add_service(v1alpha),
        (v1, v1alpha) => {
            let error = v1.err().or(v1alpha.err());
            tracing::error!(
                ?error,
                "Reflection is not served: the schema does not decode"
            );
            routes
        }
    }
}
