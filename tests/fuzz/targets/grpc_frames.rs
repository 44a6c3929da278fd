#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bindery_api::fuzz::grpc_frames(data));
