//! A thousand lines in one monitor. This test is alone in its program, because it counts the threads of the process.

#[test]
fn a_thousand_lines_of_many_chips_are_one_stream() {
    test_support::thousand::lines_of_many_chips_are_one_stream(&[]);
}
