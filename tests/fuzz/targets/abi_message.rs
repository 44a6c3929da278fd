#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bindery_plugin_abi::fuzz::abi_message(data));
