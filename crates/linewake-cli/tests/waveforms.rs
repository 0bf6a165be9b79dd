//! Waveforms of other tools as chips: messages tell what is left out.

mod support;

use support::{Scratch, err, out, run};

#[test]
fn messages_tell_what_is_left_out_of_a_waveform() {
    let text =
        "$scope module top $end $var real 64 r volts $end $var wire 2 ! PORTB $end $enddefinitions $end #0 b1 !\n";
    let file = Scratch::with("LEFT.VCD", text);
    let chip = format!("sim:{}", file.path());
    let output = run(&["info", "-c", &chip]);
    assert!(output.status.success(), "{output:?}");
    let lines: Vec<_> = out(&output).lines().filter_map(|line| line.split('"').nth(1)).collect();
    assert_eq!(lines, ["PORTB[0]", "PORTB[1]"]);
    let told = format!("\"{}\": left out, because they have no bits: \"top.volts\" is a real\n", file.path());
    assert_eq!(err(&output), told);
}

#[test]
fn a_waveform_with_too_many_bits_is_told_how_to_choose() {
    let variables = (0..1025).map(|number| format!("$var wire 1 n{number} net{number} $end\n"));
    let text = format!("{}$enddefinitions $end\n#0 0n0\n", variables.collect::<String>());
    let file = Scratch::with("many.vcd", &text);
    let output = run(&["info", "-c", &format!("sim:{}", file.path())]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let says = "has 1025 bits, but a simulated chip has at most 1024 lines; choose some of them with \"linewake replay";
    assert!(err(&output).contains(says), "{}", err(&output));
}
