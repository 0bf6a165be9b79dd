//! Checks a JSON value against `docs/record.schema.json`. It knows the keywords of JSON Schema 2020-12 that the file
//! uses, and refuses others.

use serde_json::Value;

/// The reasons why `line` is not a record. Empty if it is one.
pub fn faults_of_line(line: &str) -> Vec<String> {
    match serde_json::from_str(line) {
        Ok(value) => faults_of(&value),
        Err(error) => vec![format!("not JSON: {error}")],
    }
}

pub fn faults_of(value: &Value) -> Vec<String> {
    let schema = schema();
    let mut faults = Vec::new();
    check(&schema, &schema, value, "", &mut faults);
    faults
}

pub fn schema() -> Value {
    serde_json::from_str(include_str!("../../../docs/record.schema.json")).expect("the schema is JSON")
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let rules = schema.as_object().expect("a schema is an object");
    for (rule, wanted) in rules {
        let mut fault = |is_right: bool| {
            if !is_right {
                faults.push(format!("{at}: {value} against {rule} {wanted}"));
            }
        };
        match rule.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" => {}
            "$ref" => {
                let pointer = wanted.as_str().and_then(|text| text.strip_prefix('#')).expect("a local reference");
                let target = root.pointer(pointer).unwrap_or_else(|| panic!("no such definition: {wanted}"));
                check(root, target, value, at, faults);
            }
            "const" => fault(value == wanted),
            "enum" => fault(list(wanted).contains(value)),
            "type" => fault(match wanted {
                Value::String(name) => is_of(value, name),
                names => list(names).iter().any(|name| is_of(value, name.as_str().expect("a type's name"))),
            }),
            "minimum" => fault(whole(value).is_none_or(|number| number >= bound(wanted))),
            "maximum" => fault(whole(value).is_none_or(|number| number <= bound(wanted))),
            "pattern" => {
                fault(value.as_str().is_none_or(|text| matches(text, wanted.as_str().expect("a pattern"))));
            }
            "required" => fault(value.as_object().is_none_or(|fields| {
                list(wanted).iter().all(|name| fields.contains_key(name.as_str().expect("a field's name")))
            })),
            "properties" => {
                for (name, schema) in wanted.as_object().expect("schemas by name") {
                    if let Some(field) = value.get(name) {
                        check(root, schema, field, &format!("{at}/{name}"), faults);
                    }
                }
            }
            "additionalProperties" => {
                assert_eq!(wanted, &Value::Bool(false));
                let known = rules["properties"].as_object().expect("schemas by name");
                fault(value.as_object().is_none_or(|fields| fields.keys().all(|name| known.contains_key(name))));
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, wanted, item, &format!("{at}/{index}"), faults);
                }
            }
            "oneOf" => {
                let fits = |schema: &&Value| {
                    let mut inner = Vec::new();
                    check(root, schema, value, at, &mut inner);
                    inner.is_empty()
                };
                fault(list(wanted).iter().filter(fits).count() == 1);
            }
            unknown => panic!("teach this test the rule \"{unknown}\""),
        }
    }
}

fn matches(text: &str, pattern: &str) -> bool {
    let (digits, most) = match pattern {
        "^[0-9]{1,20}$" => (text, 20),
        "^-?[0-9]{1,19}$" => (text.strip_prefix('-').unwrap_or(text), 19),
        unknown => panic!("teach this test the pattern \"{unknown}\""),
    };
    (1..=most).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn bound(value: &Value) -> i128 {
    whole(value).expect("a whole number")
}

fn whole(value: &Value) -> Option<i128> {
    value.as_u64().map(i128::from).or(value.as_i64().map(i128::from))
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        unknown => panic!("teach this test the type \"{unknown}\""),
    }
}
