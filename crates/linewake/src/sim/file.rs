//! Scripts from TOML. `docs/sim.md` describes the keys.

use std::collections::HashMap;
use std::time::Duration;

use linewake_controller::protocol::MAX_LINES;

use super::{ClockKind, Count, Quadrature, Script, Signal, SimLine, Span, Turn};
use crate::Error;
use crate::keys::{Keys, SourceText, Value};

pub(super) fn parse(name: &str, text: &str) -> Result<Script, Error> {
    let source = SourceText { name, text };
    let root = source.parse()?;
    let keys = Keys::new(source, &root);
    let mut script = Script::new();
    script.file = Some(name.into());
    let kinds = [("real", ClockKind::Real), ("virtual", ClockKind::Virtual), ("manual", ClockKind::Manual)];
    script = keys.set("label", script, Value::text, Script::label)?;
    script = keys.set("lines", script, |lines| lines.number(1, MAX_LINES as u64), |it, n| it.line_count(n as u32))?;
    script = keys.set("seed", script, |seed| seed.number(0, u64::MAX), Script::seed)?;
    script = keys.set("clock", script, |clock| clock.word(&kinds), Script::clock)?;
    script = keys.set("queue_size", script, |size| size.number(2, 1024), |it, size| it.queue_size(size as u32))?;
    script = keys.set("merge_within", script, time, Script::merge_within)?;
    script = keys.set("interrupt_delay", script, time, Script::interrupt_delay)?;
    let mut taken = HashMap::new();
    let mut next = 0;
    for item in list(&keys, "line")? {
        let line = line(&item, &mut next, &mut taken)?;
        script = script.line(line);
    }
    for item in list(&keys, "quadrature")? {
        script = wheel(&item, script)?;
    }
    for item in list(&keys, "unplug")? {
        let keys = item.table()?;
        let gone_for = keys.get("for").map(|gone_for| time(&gone_for)).transpose()?;
        script = script.unplug(time(&keys.need("at")?)?, gone_for);
        keys.finish()?;
    }
    for item in list(&keys, "slow")? {
        let keys = item.table()?;
        script = script.slow(time(&keys.need("at")?)?, time(&keys.need("for")?)?);
        keys.finish()?;
    }
    keys.finish()?;
    script.check()?;
    Ok(script)
}

fn list<'a>(keys: &Keys<'a>, key: &'static str) -> Result<Vec<Value<'a>>, Error> {
    keys.get(key).map_or(Ok(Vec::new()), |list| list.items())
}

fn line<'a>(item: &Value<'a>, next: &mut u32, taken: &mut HashMap<u32, String>) -> Result<SimLine, Error> {
    let keys = item.table()?;
    let name = keys.get("name").map_or(Ok(""), |name| name.text())?;
    let mut line = SimLine::new(name);
    let offset = match keys.get("offset") {
        None => *next,
        Some(offset) => offset.number(0, MAX_LINES as u64 - 1)? as u32,
    };
    if offset as usize >= MAX_LINES {
        return Err(item.error(format!("offset {offset} is out of range; a chip has at most {MAX_LINES} lines")));
    }
    if let Some(before) = taken.insert(offset, name.to_owned()) {
        return Err(item.error(format!("offset {offset} is already used by line \"{before}\"")));
    }
    *next = offset + 1;
    line = line.offset(offset);
    line = keys.set("initial", line, |level| level.word(&[("low", false), ("high", true)]), SimLine::initially)?;
    line = keys.set("merge_within", line, time, SimLine::merge_within)?;
    line = keys.set("interrupt_delay", line, time, SimLine::interrupt_delay)?;
    if let Some(signal) = signal(item, &keys)? {
        line = line.signal(signal);
    }
    keys.finish()?;
    Ok(line)
}

/// The signal of a line, if it has one.
fn signal<'a>(item: &Value<'a>, keys: &Keys<'a>) -> Result<Option<Signal>, Error> {
    let (period, high, burst, noise) = (keys.get("period"), keys.get("high"), keys.get("burst"), keys.get("noise"));
    let shapes = [&period, &high, &burst, &noise];
    if let Some(second) = shapes.into_iter().flatten().nth(1) {
        let message = "expected only one of \"period\", \"high\" with \"low\", \"burst\" and \"noise\"";
        return Err(second.error(message));
    }
    let mut signal = if let Some(period) = &period {
        let signal = keys.set("duty", Signal::period(time(period)?), Value::real, Signal::duty)?;
        let signal = keys.set("phase", signal, time, Signal::phase)?;
        let signal = keys.set("jitter", signal, time, Signal::jitter)?;
        keys.set("drift_ppm", signal, Value::real, Signal::drift_ppm)?
    } else if let Some(high) = &high {
        Signal::pulses(span(high)?, span(&keys.need("low")?)?)
    } else if let Some(burst) = &burst {
        let keys = burst.table()?;
        let (pulses, half) = (count(&keys.need("pulses")?)?, span(&keys.need("half")?)?);
        let signal = Signal::burst(pulses, half, span(&keys.need("pause")?)?);
        keys.finish()?;
        signal
    } else if let Some(noise) = &noise {
        let keys = noise.table()?;
        let signal = Signal::noise(span(&keys.need("every")?)?);
        keys.finish()?;
        signal
    } else {
        Signal::rest()
    };
    if shapes.iter().any(|shape| shape.is_some()) {
        signal = keys.set("times", signal, |times| times.number(0, u32::MAX.into()), |it, n| it.times(n as u32))?;
        if period.is_none() {
            signal = keys.set("first", signal, span, Signal::first)?;
        }
    }
    signal = disturbed(signal, keys)?;
    signal.check().map_err(|what| item.error(what))?;
    Ok(Some(signal).filter(|signal| *signal != Signal::rest()))
}

/// A signal with the bounces and glitches of its keys.
fn disturbed(mut signal: Signal, keys: &Keys<'_>) -> Result<Signal, Error> {
    if let Some(bounce) = keys.get("bounce") {
        let keys = bounce.table()?;
        let times = count(&keys.need("count")?)?;
        signal = signal.bounce(times, span(&keys.need("spacing")?)?, span(&keys.need("width")?)?);
        keys.finish()?;
    }
    if let Some(glitch) = keys.get("glitch") {
        let keys = glitch.table()?;
        signal = signal.glitch(span(&keys.need("every")?)?, span(&keys.need("width")?)?);
        keys.finish()?;
    }
    keys.set("stream", signal, |stream| stream.number(0, u64::MAX), Signal::stream)
}

fn wheel(item: &Value<'_>, script: Script) -> Result<Script, Error> {
    let keys = item.table()?;
    let lines = keys.need("lines")?;
    let names = lines.items()?.iter().map(Value::text).collect::<Result<Vec<_>, _>>()?;
    let [a, b] = names[..] else {
        return Err(lines.error(format!("expected two lines, found {}", names.len())));
    };
    let mut wheel = Quadrature::new(span(&keys.need("quarter")?)?, span(&keys.need("pause")?)?);
    let turns = [("either", Turn::Either), ("forward", Turn::Forward), ("backward", Turn::Backward)];
    wheel = keys.set("first", wheel, span, Quadrature::first)?;
    wheel = keys.set("notches", wheel, count, Quadrature::notches)?;
    wheel = keys.set("turn", wheel, |turn| turn.word(&turns), Quadrature::turn)?;
    keys.finish()?;
    let script = script.quadrature(a, b, wheel);
    script.check_lines().map_err(|what| item.error(what))?;
    Ok(script)
}

/// `"2s"`, or `["1s", "3s"]` for a random time in a range.
fn span(value: &Value<'_>) -> Result<Span, Error> {
    if !value.is_array() {
        return time(value).map(Span::from);
    }
    match &value.items()?[..] {
        [from, to] => Ok(Span::from(time(from)?..=time(to)?)),
        _ => Err(value.error("expected two ends of a range, as in [\"1s\", \"3s\"]")),
    }
}

/// `3`, or `[1, 4]` for a random count in a range.
fn count(value: &Value<'_>) -> Result<Count, Error> {
    let number = |value: &Value<'_>| value.number(0, 1_000_000).map(|number| number as u32);
    if !value.is_array() {
        return number(value).map(Count::from);
    }
    match &value.items()?[..] {
        [from, to] => Ok(Count::from(number(from)?..=number(to)?)),
        _ => Err(value.error("expected two ends of a range, as in [1, 4]")),
    }
}

fn time(value: &Value<'_>) -> Result<Duration, Error> {
    let text = value.text()?;
    duration(text)
        .ok_or_else(|| value.error(format!("expected a time such as \"10us\", \"1.5ms\" or \"2s\", found \"{text}\"")))
}

/// Parses a time with a unit, exact to the nanosecond.
fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u128); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
        ("d", 86_400_000_000_000),
    ];
    let unit_at = text.find(|symbol: char| !symbol.is_ascii_digit() && symbol != '.')?;
    let (number, unit) = (&text[..unit_at], text[unit_at..].trim_start());
    let unit_ns = UNITS.iter().find(|(name, _)| *name == unit)?.1;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| (!text.is_empty() && text.len() <= 15).then(|| text.parse::<u128>().ok()).flatten();
    let whole_ns = digits(whole)? * unit_ns;
    let fraction_ns = digits(fraction)? * unit_ns / 10_u128.pow(fraction.len() as u32);
    u64::try_from(whole_ns + fraction_ns).ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::sim::{Change, What};

    fn wrong(text: &str) -> String {
        let error = parse("x.toml", text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadFile);
        error.to_string()
    }

    #[test]
    fn times_are_read_to_the_nanosecond() {
        for (text, ns) in [
            ("10us", 10_000),
            ("1.5ms", 1_500_000),
            ("2 s", 2_000_000_000),
            ("0.000000001s", 1),
            ("1h", 3_600_000_000_000),
            ("1.5d", 129_600_000_000_000),
            ("7µs", 7_000),
        ] {
            assert_eq!(duration(text), Some(Duration::from_nanos(ns)), "{text}");
        }
        for text in
            ["", "s", "1", "-1s", "1.s", ".5s", "1..2s", "1e3s", "99999999999999h", "213504d", "1 parsec", "1ms "]
        {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn an_error_names_its_place_and_key() {
        for (text, place, says) in [
            ("label = ", "1:9", ""),
            ("sed = 1", "1:1", "unknown key \"sed\"; did you mean \"seed\"?"),
            ("lines = 1025", "1:9", "\"lines\": 1025 is out of range; expected 1 to 1024"),
            ("clock = 'fast'", "1:9", "unknown value \"fast\""),
            ("queue_size = 1", "1:14", "\"queue_size\": 1 is out of range"),
            ("[[line]]\nname = 5", "2:8", "\"line[0].name\": expected a text, found the number 5"),
            ("[[line]]\nperiod = '1s'\nduty = 1.5", "1:", "\"line[0]\": a duty of 1.5 is out of range"),
            ("[[line]]\nperiod = '1s'\nhigh = '1s'", "3:8", "expected only one of \"period\""),
            ("[[line]]\nhigh = '1s'", "1:", "\"line[0]\" lacks the key \"low\""),
            ("[[line]]\nname = 'a'\n[[line]]\noffset = 0", "3:", "offset 0 is already used by line \"a\""),
            ("[[line]]\nperiod = '1s'\npulses = 3", "3:1", "unknown key \"pulses\" in \"line[0]\""),
            (
                "[[line]]\nburst = { pulses = [1, 2, 3], half = '1s', pause = '1s' }",
                "2:20",
                "expected two ends of a range",
            ),
            ("[[line]]\nnoise = { every = ['2s', '1s'] }", "1:", "\"every\": the start of the range is after its end"),
            ("[[line]]\n[[quadrature]]\nlines = ['a', 'b']\nquarter = '1s'\npause = '1s'", "2:", "unknown line \"a\""),
            ("[[line]]\n[[unplug]]\nfor = '1s'", "2:", "\"unplug[0]\" lacks the key \"at\""),
            ("[[slow]]\nat = '1s'\nfor = 3", "3:7", "\"slow[0].for\": expected a text"),
        ] {
            let error = wrong(text);
            assert!(error.starts_with(&format!("x.toml:{place}")) && error.contains(says), "{text:?}: {error}");
        }
        assert!(wrong("").contains("expected at least one line"));
    }

    #[test]
    fn a_script_is_what_its_builder_would_make() {
        let text = r#"
            label = "bench"
            lines = 8
            seed = 7
            [[line]]
            name = "pps"
            period = "1s"
            duty = 0.1
            phase = "500ms"
            [[line]]
            name = "button"
            initial = "high"
            first = ["600ms", "1.2s"]
            high = ["80ms", "300ms"]
            low = ["1s", "3s"]
            bounce = { count = [1, 4], spacing = ["60us", "900us"], width = ["40us", "500us"] }
            times = 3
            [[line]]
            name = "a"
            offset = 6
            [[line]]
            name = "b"
            [[quadrature]]
            lines = ["a", "b"]
            quarter = ["3ms", "12ms"]
            pause = "1s"
            notches = [1, 4]
            turn = "forward"
            [[unplug]]
            at = "3s"
            for = "500ms"
        "#;
        let ms = Duration::from_millis;
        let button = Signal::pulses(ms(80)..=ms(300), ms(1000)..=ms(3000)).first(ms(600)..=ms(1200)).times(3).bounce(
            1..=4,
            Duration::from_micros(60)..=Duration::from_micros(900),
            Duration::from_micros(40)..=Duration::from_micros(500),
        );
        let wheel = Quadrature::new(ms(3)..=ms(12), ms(1000)).notches(1..=4).turn(Turn::Forward);
        let built = Script::new()
            .line(SimLine::new("pps").signal(Signal::period(ms(1000)).duty(0.1).phase(ms(500))))
            .line(SimLine::new("button").initially(true).signal(button))
            .line(SimLine::new("a").offset(6))
            .line(SimLine::new("b"))
            .quadrature("a", "b", wheel)
            .unplug(ms(3000), Some(ms(500)));
        let script = parse("x.toml", text).unwrap();
        assert_eq!((script.label.as_deref(), script.size(), script.seed), (Some("bench"), 8, Some(7)));
        let all = |script: &Script| {
            let mut play = script.play(7);
            Vec::from_iter(std::iter::from_fn(|| play.take()).take_while(|change| change.at_ns < 20_000_000_000))
        };
        assert!(all(&script).len() > 100);
        let is_button = |change: &Change| matches!(change.what, What::Level { offset, .. } if offset.get() == 1);
        let mut presses = all(&script).into_iter().filter(is_button);
        let (first, last) = (presses.clone().next().unwrap(), presses.next_back().unwrap());
        assert!(last.at_ns - first.at_ns < 8_000_000_000, "exactly three presses");
        assert_eq!(all(&script), all(&built));
    }
}
