//! `cargo xtask words`: draws comments, messages and paragraphs at random. Somebody reads them as a newcomer would.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

use proc_macro2::{TokenStream, TokenTree};

use crate::command::CommandLine;
use crate::workspace;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The same number draws the same pieces
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// A text for people, and the place where it begins.
#[derive(Debug, Hash, PartialEq)]
struct Piece {
    path: String,
    line: usize,
    text: String,
}

/// All pieces of the workspace.
#[derive(Default)]
struct Words {
    comments: Vec<Piece>,
    messages: Vec<Piece>,
    paragraphs: Vec<Piece>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let words = Words::of_workspace()?;
    let mut text = String::new();
    for (kind, pieces, count) in
        [("comments", words.comments, 20), ("messages", words.messages, 20), ("paragraphs", words.paragraphs, 10)]
    {
        writeln!(text, "{count} of {} {kind}\n", pieces.len())?;
        for Piece { path, line, text: words } in drawn(&pieces, count, arguments.seed) {
            writeln!(text, "{path}:{line}\n    {words}\n")?;
        }
    }
    match io::stdout().write_all(text.as_bytes()) {
        // The reader of the pipe has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        written => Ok(written.map(|()| ExitCode::SUCCESS)?),
    }
}

/// Draws the pieces with the lowest hashes. So a new piece in the workspace changes little of a draw.
fn drawn(pieces: &[Piece], count: usize, seed: u64) -> Vec<&Piece> {
    let mut pieces: Vec<_> = pieces.iter().collect();
    pieces.sort_by_cached_key(|piece| {
        let mut hasher = DefaultHasher::new();
        (seed, &piece.text).hash(&mut hasher);
        hasher.finish()
    });
    // A text that is in several places is drawn once.
    pieces.dedup_by(|one, other| one.text == other.text);
    pieces.truncate(count);
    pieces
}

impl Words {
    fn of_workspace() -> Result<Self, Box<dyn Error>> {
        let list = CommandLine::new("git ls-files --cached --others --exclude-standard");
        let mut words = Self::default();
        for path in list.text()?.lines() {
            if let Some((_, "rs" | "md" | "toml" | "sh" | "yml")) = path.rsplit_once('.') {
                // git lists a removed file until its removal is committed.
                let Ok(text) = fs::read_to_string(workspace::root().join(path)) else { continue };
                words.add(path, &text).map_err(|error| format!("{path}: {error}"))?;
            }
        }
        Ok(words)
    }

    fn add(&mut self, path: &str, text: &str) -> Result<(), Box<dyn Error>> {
        match path.rsplit_once('.') {
            Some((_, "rs")) => {
                self.comments.extend(paragraphs(path, text, |line| {
                    line.strip_prefix("//").filter(|rest| !rest.starts_with(['/', '!']))
                }));
                let doc = |line| str::strip_prefix(line, "///").or_else(|| line.strip_prefix("//!"));
                self.paragraphs.extend(paragraphs(path, text, doc));
                let is_test = ["tests", "benches/", "examples/", "fuzz/"].iter().any(|part| path.contains(part));
                if !is_test {
                    let mut found = Vec::new();
                    messages(path, text.parse()?, &mut found);
                    // The tests are at the end of a file.
                    let tests = text.lines().position(|line| line == "#[cfg(test)]").unwrap_or(usize::MAX);
                    self.messages.extend(found.into_iter().filter(|piece| piece.line < tests));
                }
            }
            Some((_, "md")) => self.paragraphs.extend(paragraphs(path, text, Some)),
            _ => self.comments.extend(paragraphs(path, text, |line| line.strip_prefix('#'))),
        }
        Ok(())
    }
}

/// Joins adjacent lines of which `left` leaves something. Code, tables and headings end a paragraph.
fn paragraphs<'a>(path: &str, text: &'a str, left: impl Fn(&'a str) -> Option<&'a str>) -> Vec<Piece> {
    let (mut pieces, mut is_code, mut goes_on) = (Vec::<Piece>::new(), false, false);
    for (number, line) in (1..).zip(text.lines()) {
        let line = left(line.trim()).map_or("", str::trim);
        is_code ^= line.starts_with("```");
        if is_code || line.is_empty() || line.starts_with(['`', '|', '#', '<', '!']) {
            goes_on = false;
        } else if goes_on && !line.starts_with("- ") {
            let piece = pieces.last_mut().expect("it goes on");
            piece.text.push(' ');
            piece.text.push_str(line);
        } else {
            pieces.push(Piece { path: path.to_owned(), line: number, text: line.to_owned() });
            goes_on = true;
        }
    }
    pieces.retain(|piece| is_read(&piece.text));
    pieces
}

/// Finds the string literals that contain words, but not doc comments, which are attributes with a string.
fn messages(path: &str, tokens: TokenStream, found: &mut Vec<Piece>) {
    let mut before = String::new();
    for token in tokens {
        match &token {
            TokenTree::Group(group) => messages(path, group.stream(), found),
            TokenTree::Literal(literal) if before != "doc=" => {
                // A literal over several lines is put on one.
                let text = literal.to_string().replace("\\\n", "");
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                if text.contains('"') && is_read(&text) {
                    found.push(Piece { path: path.to_owned(), line: literal.span().start().line, text });
                }
            }
            _ => {}
        }
        before = match token {
            TokenTree::Punct(punct) if punct.as_char() == '=' && before == "doc" => "doc=".to_owned(),
            TokenTree::Ident(name) => name.to_string(),
            _ => String::new(),
        };
    }
}

/// Whether the text has three words side by side.
fn is_read(text: &str) -> bool {
    let is_word = |word: &str| {
        let letters = word.trim_end_matches([',', ':', ';', '.']);
        !letters.is_empty() && letters.chars().all(char::is_alphabetic)
    };
    let words: Vec<_> = text.split([' ', '"']).map(is_word).collect();
    words.windows(3).any(|three| three == [true; 3])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"//! What this file is about.

/// How long it waits, in milliseconds.
///
/// ```
/// // this is an example
/// ```
///
/// - one of a list
/// - another of a list
fn wait() {
    // A comment that goes on
    // over two lines.
    let message = "timed out waiting \
        for an edge";
    println!("{}: {:?} {name}", "a-word");
}

#[cfg(test)]
mod tests {
    const SAID: &str = "nobody reads this one";
}
"#;

    fn found(pieces: &[Piece]) -> Vec<(usize, &str)> {
        pieces.iter().map(|piece| (piece.line, &*piece.text)).collect()
    }

    #[test]
    fn comments_messages_and_paragraphs_are_told_apart() {
        let mut words = Words::default();
        words.add("src/wait.rs", SOURCE).unwrap();
        assert_eq!(found(&words.comments), [(12, "A comment that goes on over two lines.")]);
        assert_eq!(found(&words.messages), [(14, "\"timed out waiting for an edge\"")]);
        let expected = [
            (1, "What this file is about."),
            (3, "How long it waits, in milliseconds."),
            (9, "- one of a list"),
            (10, "- another of a list"),
        ];
        assert_eq!(found(&words.paragraphs), expected);
        words.add("tests/wait.rs", SOURCE).unwrap();
        assert_eq!((words.messages.len(), words.comments.len()), (1, 2), "messages of tests are for nobody");
        words.add("wait.md", "# A heading of words\n\nThis is\nread.\n| a | table of words |\n").unwrap();
        assert_eq!(words.paragraphs.last().unwrap().text, "This is read.");
        words.add("wait.toml", "# What it is for.\nwait = 1\n").unwrap();
        assert_eq!(words.comments.last().unwrap().text, "What it is for.");
    }

    #[test]
    fn a_seed_draws_the_same_pieces_and_another_draws_others() {
        let all = Words::of_workspace().unwrap().comments;
        assert!(all.len() > 1000);
        assert_eq!(drawn(&all, 20, 7), drawn(&all, 20, 7));
        assert_ne!(drawn(&all, 20, 7), drawn(&all, 20, 8));
    }
}
