//! What `cargo test` printed: how many tests passed.

/// The sum over all test binaries and doc tests in the output.
pub(crate) fn passed(output: &str) -> usize {
    output
        .lines()
        .filter_map(|line| line.split_once("test result: ok. "))
        .filter_map(|(_, counts)| counts.split_once(" passed"))
        .filter_map(|(count, _)| count.parse::<usize>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_over_binaries() {
        let output = "
     Running unittests src/lib.rs (target/debug/deps/overlapped-0123456789abcdef)

running 12 tests
............
test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 0 filtered out; finished in 0.00s

   Doc-tests overlapped
test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.21s
";
        assert_eq!(passed(output), 17);
    }

    #[test]
    fn nothing_ran() {
        let output = "running 0 tests\n\ntest result: ok. 0 passed; 0 failed; 0 ignored";
        assert_eq!(passed(output), 0);
        assert_eq!(passed(""), 0);
    }
}
