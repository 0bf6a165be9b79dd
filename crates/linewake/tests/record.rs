//! The record stream: the types and the schema agree.

use linewake::record::{
    AccountTrust, Chatter, ChatterState, Edge, FilterSummary, Gap, GapReason, Heartbeat, Info, InfoKind, Kind,
    LineSummary, Missed, NamedChip, READABLE, Record, SCHEMA, Start, State, Step, Summary,
};
use serde_json::{Value, json};
use test_support::schema;

/// Every record in every variant, with the largest numbers, and with null where allowed.
fn every_record() -> Vec<Record<'static>> {
    let records = [starts(), states(), edges(), gaps(), clocks(), chatters(), infos(), heartbeats(), summaries()];
    records.concat()
}

fn starts() -> Vec<Record<'static>> {
    let start = Start {
        schema: SCHEMA,
        host: Some("bench".into()),
        boot_id: Some("4e9fe1f1".into()),
        clock: "monotonic".into(),
        utc_offset_ns: Some(i64::MIN),
        utc_error_ns: Some(1),
        utc_synchronised: Some(false),
        chips: vec![NamedChip { chip: "a".into(), id: "sim:a.toml".into(), name: "sim".into(), label: "".into() }],
    };
    let unknown = Start {
        host: None,
        boot_id: None,
        utc_offset_ns: None,
        utc_error_ns: None,
        utc_synchronised: None,
        chips: vec![],
        ..start.clone()
    };
    [start, unknown].map(Record::Start).into()
}

fn states() -> Vec<Record<'static>> {
    let state = |level| Record::State(State { chip: "sim".into(), offset: 0, name: Some("x".into()), level });
    [None, Some(0), Some(1)].map(state).into()
}

fn edges() -> Vec<Record<'static>> {
    let edge = Edge {
        chip: "sim".into(),
        offset: u32::MAX,
        name: Some("a \"door\"\n".into()),
        kind: Kind::Rising,
        timestamp_ns: u64::MAX,
        seqno: u32::MAX,
        line_seqno: 0,
        missed: Missed { overflowed: u32::MAX, merged: 1 },
    };
    let falling = Edge { name: None, kind: Kind::Falling, ..edge.clone() };
    [edge, falling].map(Record::Edge).into()
}

fn gaps() -> Vec<Record<'static>> {
    let gap = Gap {
        chip: "sim".into(),
        reason: GapReason::Unplugged,
        from_ns: Some(u64::MAX),
        to_ns: Some(0),
        over: true,
        delivered: u64::MAX,
        overflowed: 1,
        merged: 2,
        discarded: 3,
    };
    let begun = Gap { from_ns: None, to_ns: None, over: false, ..gap.clone() };
    [gap, begun].map(Record::Gap).into()
}

fn clocks() -> Vec<Record<'static>> {
    vec![Record::Clock(Step { chip: "sim".into(), before_ns: 0, after_ns: u64::MAX, arrival_ns: 1 })]
}

fn chatters() -> Vec<Record<'static>> {
    let chatter = Chatter {
        chip: "sim".into(),
        offset: 3,
        name: Some("x".into()),
        state: ChatterState::Unblocked,
        timestamp_ns: u64::MAX,
        changes: u32::MAX,
        withheld: Some(u64::MAX),
    };
    let blocked = Chatter { name: None, state: ChatterState::Blocked, withheld: None, ..chatter.clone() };
    [chatter, blocked].map(Record::Chatter).into()
}

fn infos() -> Vec<Record<'static>> {
    let info = Info {
        chip: "sim".into(),
        offset: 3,
        name: None,
        kind: InfoKind::Requested,
        timestamp_ns: u64::MAX,
        consumer: Some("mon".into()),
    };
    let released = Info { name: Some("x".into()), kind: InfoKind::Released, ..info.clone() };
    let reconfigured = Info { consumer: None, kind: InfoKind::Reconfigured, ..info.clone() };
    [info, released, reconfigured].map(Record::Info).into()
}

fn heartbeats() -> Vec<Record<'static>> {
    let alive = Heartbeat { utc_ns: Some(u64::MAX), delivered: u64::MAX };
    [alive, Heartbeat { utc_ns: None, delivered: 0 }].map(Record::Heartbeat).into()
}

fn summaries() -> Vec<Record<'static>> {
    let line = |account| LineSummary {
        chip: "sim".into(),
        offset: 0,
        name: None,
        delivered: u64::MAX,
        overflowed: 1,
        merged: 2,
        discarded: 3,
        account,
        filter: None,
    };
    let filter = FilterSummary { passed: u64::MAX, filtered: 1, held: 2, blocks: 3 };
    let filtered = LineSummary { filter: Some(filter), ..line(AccountTrust::Exact) };
    let trusts = [AccountTrust::Exact, AccountTrust::AtLeast, AccountTrust::About, AccountTrust::None];
    let summaries = [
        Summary { lines: trusts.map(line).into(), unattributed: u64::MAX, threads: Some(1) },
        Summary { lines: vec![filtered], unattributed: 0, threads: Some(1) },
        Summary { lines: vec![], unattributed: 0, threads: None },
    ];
    summaries.map(Record::Summary).into()
}

#[test]
fn every_record_is_by_the_schema_and_comes_back_the_same() {
    for record in every_record() {
        let line = serde_json::to_string(&record).unwrap();
        assert_eq!(schema::faults_of_line(&line), [""; 0], "{line}");
        assert!(!line.contains('\n'), "a record is one line: {line}");
        let value: Value = serde_json::from_str(&line).unwrap();
        let back: Record<'_> = serde_json::from_value(value).unwrap();
        assert_eq!(back, record);
    }
}

#[test]
fn a_record_with_a_field_less_or_more_or_another_type_is_refused_by_both() {
    for record in every_record() {
        let value = serde_json::to_value(&record).unwrap();
        refused_if_spoiled(&value);
    }
}

/// Damages every object of a record in every way.
fn refused_if_spoiled(whole: &Value) {
    for pointer in objects_in(whole, String::new()) {
        let names: Vec<_> = whole.pointer(&pointer).unwrap().as_object().unwrap().keys().cloned().collect();
        for name in names {
            let spoil = |with: Option<Value>| {
                let mut spoiled = whole.clone();
                let object = spoiled.pointer_mut(&pointer).unwrap().as_object_mut().unwrap();
                match with {
                    None => drop(object.remove(&name)),
                    Some(value) => drop(object.insert(name.clone(), value)),
                }
                spoiled
            };
            // If `null` is allowed, the types accept a missing field, but the schema does not. An older version did not
            // write the chips.
            refused(&spoil(None), !is_read(&spoil(Some(Value::Null))) && name != "chips");
            refused(&spoil(Some(json!({ "neither": "text nor number" }))), true);
            refused(&spoil(Some(json!(-1.5))), true);
        }
        let mut more = whole.clone();
        more.pointer_mut(&pointer).unwrap().as_object_mut().unwrap().insert("unknown".into(), json!(1));
        refused(&more, true);
    }
}

fn refused(spoiled: &Value, by_types_too: bool) {
    assert_ne!(schema::faults_of(spoiled), [""; 0], "{spoiled}");
    assert!(!(by_types_too && is_read(spoiled)), "{spoiled}");
}

fn is_read(value: &Value) -> bool {
    serde_json::from_value::<Record<'_>>(value.clone()).is_ok()
}

fn objects_in(value: &Value, at: String) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (format!("{at}/{name}"), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(i, value)| (format!("{at}/{i}"), value)).collect(),
        _ => vec![],
    };
    let mut found: Vec<_> = children.into_iter().flat_map(|(at, value)| objects_in(value, at)).collect();
    if value.is_object() {
        found.push(at);
    }
    found
}

#[test]
fn the_schema_has_a_record_of_every_kind_and_no_other() {
    let schema = schema::schema();
    let mut described: Vec<_> = schema["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| {
            schema.pointer(&each["$ref"].as_str().unwrap()[1..]).unwrap()["properties"]["record"]["const"].clone()
        })
        .collect();
    let mut written: Vec<_> =
        every_record().iter().map(|record| serde_json::to_value(record).unwrap()["record"].clone()).collect();
    described.sort_by_key(Value::to_string);
    written.sort_by_key(Value::to_string);
    written.dedup();
    assert_eq!(described, written);
}

#[test]
fn numbers_beyond_their_range_are_refused() {
    for (record, field, value) in [
        ("edge", "seqno", json!(4_294_967_296_u64)),
        ("edge", "offset", json!(-1)),
        ("state", "level", json!(2)),
        ("start", "schema", json!(1)),
        ("summary", "threads", json!(0)),
    ] {
        let mut values = every_record().into_iter().map(|record| serde_json::to_value(record).unwrap());
        let mut spoiled = values.find(|value| value["record"] == record).unwrap();
        spoiled[field] = value;
        assert_ne!(schema::faults_of(&spoiled), [""; 0], "{spoiled}");
    }
}

#[test]
fn records_of_an_older_version_are_read() {
    assert!(READABLE.contains(&2) && READABLE.contains(&SCHEMA) && !READABLE.contains(&(SCHEMA + 1)));
    let line = r#"{"chip":"sim","offset":5,"name":"door","delivered":2,"overflowed":0,"merged":0,"discarded":1,"account":"exact"}"#;
    let summary = format!(r#"{{"record":"summary","lines":[{line}],"unattributed":0,"threads":3}}"#);
    let Ok(Record::Summary(summary)) = serde_json::from_str(&summary) else { panic!("version 2 has no filter") };
    assert_eq!((summary.lines[0].delivered, summary.lines[0].filter), (2, None));
}
