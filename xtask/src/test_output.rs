//! Reads the output of `cargo test`: how many tests passed.

/// How many tests passed, in the test binaries whose source `counts` accepts. A source is `unittests src/lib.rs`,
/// `tests/calls.rs`, or empty for doc tests.
pub(crate) fn passed(output: &str, counts: impl Fn(&str) -> bool) -> usize {
    let mut source = "";
    let mut sum = 0;
    for line in output.lines() {
        let line = line.trim_start();
        if let Some(binary) = line.strip_prefix("Running ") {
            source = binary.split(" (").next().unwrap_or(binary);
        } else if line.starts_with("Doc-tests ") {
            source = "";
        } else if let Some((_, result)) = line.split_once("test result: ok. ")
            && let Some((count, _)) = result.split_once(" passed")
            && counts(source)
        {
            sum += count.parse::<usize>().unwrap_or(0);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
     Running unittests src/lib.rs (target/debug/deps/overlapped-0123456789abcdef)

running 12 tests
............
test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 0 filtered out; finished in 0.00s

     Running tests/driver.rs (target/debug/deps/driver-0123456789abcdef)
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
   Doc-tests overlapped
test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.21s
";

    #[test]
    fn sums_over_binaries_and_doc_tests() {
        assert_eq!(passed(OUTPUT, |_| true), 18);
    }

    #[test]
    fn leaves_out_what_does_not_count() {
        assert_eq!(passed(OUTPUT, |source| !source.starts_with("tests/driver")), 17);
    }

    #[test]
    fn nothing_ran() {
        let output = "running 0 tests\n\ntest result: ok. 0 passed; 0 failed; 0 ignored";
        assert_eq!(passed(output, |_| true), 0);
        assert_eq!(passed("", |_| true), 0);
    }
}
