//! What the configuration promises.

use super::*;

const LEAST: &str = "[web]\npublic_url = \"https://bindery.example\"\n";

/// B3: a misspelt key is an error that names its line, never ignored.
#[test]
fn b3_unknown_keys_are_errors() {
    let error = Config::parse("[web]\npublic_url = \"https://b\"\nlisten_adress = \"x\"\n")
        .expect_err("unknown key");
    assert!(error.to_string().starts_with("line 3: "), "{error}");
    assert!(error.to_string().contains("listen_adress"), "{error}");
}

/// Limits of webhooks are read, and one that would stop them all is refused.
#[test]
fn limits_of_webhooks_are_read() {
    let text = format!(
        "{LEAST}[hooks]\nmax_body_mib = 2\nkeep_days = 1\nkeep_mib = 3\nreconcile_interval_minutes = 0\n"
    );
    let hooks = Config::parse(&text).expect("parses").hooks;
    assert_eq!(hooks.limits.body_bytes, 2 << 20);
    assert_eq!(hooks.limits.kept, Duration::from_secs(86_400));
    assert_eq!(hooks.limits.kept_bytes, 3 << 20);
    assert_eq!(hooks.reconcile_interval, Duration::ZERO);
    for wrong in [
        "max_body_mib = 0",
        "max_body_mib = 9",
        "max_waiting = 0",
        "keep_mib = 0",
    ] {
        assert!(
            Config::parse(&format!("{LEAST}[hooks]\n{wrong}\n")).is_err(),
            "{wrong}"
        );
    }
}

/// How much of the events is kept is read, and nothing at all is refused with its key.
#[test]
fn retention_of_events_is_read() {
    let text = format!("{LEAST}[events]\nkeep_days = 2\nkeep_count = 10\nkeep_mib = 3\n");
    let kept = Config::parse(&text).expect("parses").events;
    assert_eq!(kept.time, Duration::from_secs(2 * 86_400));
    assert_eq!((kept.count, kept.bytes), (10, 3 << 20));
    for key in ["keep_days", "keep_count", "keep_mib"] {
        let error = Config::parse(&format!("{LEAST}[events]\n{key} = 0\n"));
        let error = error.expect_err("refused").to_string();
        assert!(error.contains(&format!("events.{key}")), "{error}");
    }
}

/// What events may be posted to is read, and what is no range is refused with its key.
#[test]
fn registries_are_read() {
    let text = format!(
        "{LEAST}[subscriptions]\nallow_networks = [\"10.0.0.0/8\"]\nallow_ports = [8443]\n"
    );
    let registries = Config::parse(&text).expect("parses").registries;
    assert_eq!(
        registries.allow_networks,
        ["10.0.0.0/8".parse().expect("range")]
    );
    assert_eq!(registries.allow_ports, [8443]);
    for wrong in ["allow_networks = [\"ten\"]", "allow_ports = [0]"] {
        let error = Config::parse(&format!("{LEAST}[subscriptions]\n{wrong}\n"));
        let error = error.expect_err("refused").to_string();
        assert!(error.contains("subscriptions.allow_"), "{error}");
    }
}

/// K4: the high-water mark is never kept in the folder that it watches over.
#[test]
fn k4_the_mark_is_kept_elsewhere() {
    let folder = |text: &str| {
        let config = Config::parse(&format!("data_dir = \"/srv/b\"\n{LEAST}{text}"));
        config.map(|config| config.highwater_dir)
    };
    assert_eq!(folder(""), Ok("/srv/b-highwater".into()));
    let other = "[store]\nhighwater_dir = \"/mnt/marks\"\n";
    assert_eq!(folder(other), Ok("/mnt/marks".into()));
    for inside in ["/srv/b", "/srv/b/marks", "marks"] {
        let text = format!("[store]\nhighwater_dir = \"{inside}\"\n");
        assert!(folder(&text).is_err(), "{inside}");
    }
}

/// All errors are told together.
#[test]
fn errors_are_collected() {
    let text = "data_dir = \"relative\"\n[web]\npublic_url = \"http://bindery.example\"\nlisten = \"nowhere\"\n\
                [api]\nsocket_mode = \"0666\"\n[plugins]\nenabled = [\"github\"]\n";
    let errors = Config::parse(text).expect_err("five errors");
    assert_eq!(errors.0.len(), 5, "{errors}");
}
