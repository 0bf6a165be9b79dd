//! A C header, as far as a profile needs it: the control codes and ioctls that it defines, its structs with the places
//! of their fields, the interfaces and device names.
//!
//! No crate fits. tree-sitter-c is C code, so `cargo check` for another system would need a C compiler; lang-c reads
//! the output of a preprocessor, which has lost the names of the codes; cexpr reads expressions only, and its last
//! release is of 2021; libclang must be installed. So this is a small, tolerant scanner: it reads what it understands,
//! and notes what it leaves out. Its time and memory are in proportion to the length of the header, wherever that comes
//! from.

mod codes;
mod declarations;
mod expression;
mod layout;
mod lexer;
mod preprocessed;
mod preprocessor;
mod standard;

use self::codes::Finder;
pub(super) use self::codes::{Carried, Code, Number};
use self::declarations::Declarations;
pub(super) use self::layout::{Layouts, Place, Shape};
use self::lexer::Comment;
use self::preprocessed::Preprocessed;
pub(super) use self::standard::Model;

/// The most bytes of a header.
pub(super) const MOST_BYTES: usize = 16 << 20;
/// The most notes; the others are only counted.
const MOST_NOTES: usize = 100;

/// The name and the text of a file.
pub(super) struct File {
    pub(super) name: String,
    pub(super) text: String,
}

impl File {
    /// Decodes a file: UTF-8, UTF-16 with a byte order mark, or else Latin-1.
    pub(super) fn new(name: String, bytes: Vec<u8>) -> Self {
        let utf16 = |order: fn([u8; 2]) -> u16| {
            let units = bytes[2..].chunks_exact(2).map(|unit| order([unit[0], unit[1]]));
            char::decode_utf16(units).map(|unit| unit.unwrap_or(' ')).collect()
        };
        let text = match bytes.as_slice() {
            [0xff, 0xfe, ..] => utf16(u16::from_le_bytes),
            [0xfe, 0xff, ..] => utf16(u16::from_be_bytes),
            _ => match String::from_utf8(bytes) {
                Ok(text) => text,
                Err(error) => error.as_bytes().iter().map(|&byte| char::from(byte)).collect(),
            },
        };
        Self { name, text }
    }
}

/// The content of the files, which are read as if one included the next.
pub(super) struct Header<'a> {
    files: &'a [File],
    /// The first line of each file; the lines of all files are numbered in one sequence.
    firsts: Vec<u32>,
    source: Preprocessed<'a>,
    declared: Declarations<'a>,
    /// The system that the header is for, by its words.
    pub(super) model: Model,
    pub(super) codes: Vec<Code<'a>>,
    /// Notes about what was left out, and why.
    pub(super) notes: Vec<String>,
}

impl<'a> Header<'a> {
    pub(super) fn read(files: &'a [File]) -> Self {
        let mut firsts = Vec::new();
        let mut source = Preprocessed::default();
        let mut line = 1;
        for file in files {
            firsts.push(line);
            line = source.read(&file.text, line);
        }
        let declared = Declarations::read(&source);
        let model = if is_of_windows(&source) { Model::Windows } else { Model::Linux };
        let mut header = Self { files, firsts, source, declared, model, codes: Vec::new(), notes: Vec::new() };
        let (codes, skipped) = Finder::new(&header.source, &header.declared, model).find();
        let said = header.source.notes.iter().chain(&header.declared.notes).chain(&skipped);
        let mut said: Vec<_> = said.map(|(line, what)| (*line, what.clone())).collect();
        said.sort_by_key(|(line, _)| *line);
        let more = said.len().saturating_sub(MOST_NOTES);
        said.truncate(MOST_NOTES);
        let mut notes: Vec<_> = said.iter().map(|(line, what)| format!("{}: {what}", header.place(*line))).collect();
        if more > 0 {
            notes.push(format!("{more} more things were left out"));
        }
        (header.codes, header.notes) = (codes, notes);
        header
    }

    /// `line 7 of "card.h"`
    pub(super) fn place(&self, line: u32) -> String {
        let file = self.firsts.partition_point(|&first| first <= line).saturating_sub(1);
        let first = self.firsts.get(file).copied().unwrap_or(1);
        let name = self.files.get(file).map_or("", |file| &file.name);
        format!("line {} of \"{name}\"", line - first + 1)
    }

    pub(super) fn layouts(&self) -> Layouts<'_, 'a> {
        Layouts::new(&self.source, &self.declared, self.model)
    }

    /// The device interfaces that the header defines: names and GUIDs.
    pub(super) fn interfaces(&self) -> &[(&'a str, String, u32)] {
        &self.declared.interfaces
    }

    /// The constants whose text looks like the path of a device.
    pub(super) fn devices(&self) -> Vec<(&'a str, String, u32)> {
        let each = self.source.order.iter().filter_map(|name| {
            let (tokens, line) = self.source.body(name)?;
            let text = match tokens {
                [text] => text,
                [wide, text] if matches!(wide.text, "L" | "u8" | "TEXT") => text,
                [_, _, text, _] if tokens[0].text == "TEXT" || tokens[0].text == "_T" => text,
                _ => return None,
            };
            let text = text.text.strip_prefix('"')?.strip_suffix('"')?.replace("\\\\", "\\");
            let after = |prefix: &str| text.strip_prefix(prefix).map(str::to_owned);
            let bare = after(r"\DosDevices\").or_else(|| after(r"\??\")).or_else(|| after(r"\\.\"));
            let is_name = |rest: &str| {
                let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
                !rest.is_empty() && rest.chars().all(|c| plain(c) || c == '/')
            };
            let path = match (bare, text.strip_prefix("/dev/")) {
                (Some(bare), _) if is_name(&bare) => format!(r"\\.\{bare}"),
                (None, Some(rest)) if is_name(rest) => text,
                _ => return None,
            };
            Some((*name, path, line))
        });
        each.collect()
    }

    /// The comment about a line: the one before it, or behind it.
    pub(super) fn comment(&self, line: u32) -> Vec<String> {
        let comments = &self.source.comments;
        let at = comments.partition_point(|comment| comment.first <= line);
        let behind = comments[..at].last().filter(|comment| comment.is_behind && comment.first == line);
        let mut before: Vec<&Comment<'_>> = Vec::new();
        let mut next = line;
        for comment in comments[..at].iter().rev().filter(|comment| comment.first < line).take(8) {
            // A comment may be several comments of one line each.
            if comment.is_behind || comment.last + 1 != next {
                break;
            }
            next = comment.first;
            before.push(comment);
        }
        before.iter().rev().copied().chain(behind).flat_map(Comment::lines).take(8).collect()
    }
}

/// Windows has a macro for codes and types of its own.
fn is_of_windows(source: &Preprocessed<'_>) -> bool {
    const WINDOWS: [&str; 5] = ["DEFINE_GUID", "ULONG", "DWORD", "UCHAR", "BOOLEAN"];
    const LINUX: [&str; 8] = ["_IO", "_IOR", "_IOW", "_IOWR", "__u32", "__u8", "__u16", "__u64"];
    let has = |words: &[&str]| source.words().any(|word| words.contains(&word));
    has(&["CTL_CODE"]) || (has(&WINDOWS) && !has(&LINUX))
}
