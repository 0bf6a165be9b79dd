//! The words, numbers and signs of a header; its comments are kept apart.

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    Number,
    /// In double quotes.
    Text,
    /// In single quotes.
    Letter,
    Sign,
    /// The `#` that begins a directive.
    Directive,
    /// The end of a directive's line.
    End,
    /// Structs from here on are packed: the text is the greatest alignment of a field, 0 for no limit.
    Pack(u8),
    /// The begin or end of a part that depends on an unknown condition.
    Condition,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) line: u32,
    pub(super) kind: Kind,
    /// It follows the token before without a space.
    pub(super) is_glued: bool,
}

impl Token<'_> {
    pub(super) fn is(&self, text: &str) -> bool {
        self.text == text && matches!(self.kind, Kind::Sign | Kind::Word)
    }
}

/// A comment, with its first and last line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comment<'a> {
    pub(super) first: u32,
    pub(super) last: u32,
    /// There is a token before it on its line.
    pub(super) is_behind: bool,
    text: &'a str,
}

impl Comment<'_> {
    /// Its lines, without the signs of the comment.
    pub(super) fn lines(&self) -> Vec<String> {
        let bare = self.text.trim_start_matches("/*").trim_start_matches("//").trim_end_matches("*/");
        let lines = bare.lines().map(|line| {
            let line = line.trim().trim_matches(|c: char| "*/!<=-#~+ \t".contains(c));
            line.chars().filter(|c| !c.is_control()).take(90).collect::<String>()
        });
        lines.filter(|line| !line.is_empty()).take(8).collect()
    }
}

pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    pub(super) line: u32,
    is_in_directive: bool,
    is_first: bool,
    pub(super) comments: Vec<Comment<'a>>,
    /// The line of a comment without an end.
    pub(super) endless: Option<u32>,
}

/// The signs of two characters.
const PAIRS: [&str; 10] = ["<<", ">>", "&&", "||", "==", "!=", "<=", ">=", "##", "->"];

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str, line: u32) -> Self {
        let at = if text.starts_with('\u{feff}') { 3 } else { 0 };
        Self { text, at, line, is_in_directive: false, is_first: true, comments: Vec::new(), endless: None }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    /// The length of the line end at this distance, if there is one.
    fn newline(&self, ahead: usize) -> Option<usize> {
        match (self.peek(ahead), self.peek(ahead + 1)) {
            (Some(b'\n'), _) => Some(1),
            (Some(b'\r'), Some(b'\n')) => Some(2),
            _ => None,
        }
    }

    fn comment(&mut self) {
        let (from, first) = (self.at, self.line);
        let rest = &self.text[from..];
        if let Some(inner) = rest.strip_prefix("/*") {
            let length = inner.find("*/").map(|end| end + 4);
            if length.is_none() {
                self.endless = Some(first);
            }
            self.at += length.unwrap_or(rest.len());
        } else {
            let mut from = 0;
            loop {
                let Some(end) = rest[from..].find('\n') else {
                    self.at = self.text.len();
                    break;
                };
                from += end + 1;
                // A backslash before the line end continues the comment.
                if !rest[..from].trim_end_matches(['\n', '\r']).ends_with('\\') {
                    self.at += from - 1;
                    break;
                }
            }
        }
        let text = &self.text[from..self.at];
        self.line += text.bytes().filter(|byte| *byte == b'\n').count() as u32;
        self.comments.push(Comment { first, last: self.line, is_behind: !self.is_first, text });
    }

    /// The length of a quoted text, which ends at the end of its line at the latest.
    fn quoted(&self, quote: u8) -> usize {
        let bytes = &self.text.as_bytes()[self.at..];
        let mut at = 1;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'\\' if bytes.get(at + 1).is_some_and(|next| *next != b'\n' && *next != b'\r') => at += 2,
                b'\n' | b'\r' => return at,
                byte if byte == quote => return at + 1,
                _ => at += 1,
            }
        }
        bytes.len()
    }

    fn length_of(&self, part: impl Fn(u8) -> bool) -> usize {
        self.text.as_bytes()[self.at..].iter().take_while(|byte| part(**byte)).count()
    }

    fn token(&mut self, kind: Kind, length: usize, is_glued: bool) -> Token<'a> {
        // The quoted text may end in the middle of a character.
        let mut end = (self.at + length).min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end += 1;
        }
        let token = Token { text: &self.text[self.at..end], line: self.line, kind, is_glued };
        self.at = end;
        self.is_first = false;
        token
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let mut is_glued = true;
        loop {
            let Some(byte) = self.peek(0) else {
                return std::mem::take(&mut self.is_in_directive).then(|| self.token(Kind::End, 0, false));
            };
            if byte == b'\\'
                && let Some(length) = self.newline(1)
            {
                self.at += 1 + length;
                self.line += 1;
                is_glued = false;
                continue;
            }
            let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$';
            return Some(match byte {
                b'\n' => {
                    let end = std::mem::take(&mut self.is_in_directive).then(|| self.token(Kind::End, 0, false));
                    self.at += 1;
                    self.line += 1;
                    (self.is_first, is_glued) = (true, false);
                    match end {
                        Some(end) => end,
                        None => continue,
                    }
                }
                b'/' if matches!(self.peek(1), Some(b'/' | b'*')) => {
                    self.comment();
                    is_glued = false;
                    continue;
                }
                b'#' if self.is_first => {
                    self.is_in_directive = true;
                    self.token(Kind::Directive, 1, false)
                }
                b'"' => self.token(Kind::Text, self.quoted(b'"'), is_glued),
                b'\'' => self.token(Kind::Letter, self.quoted(b'\''), is_glued),
                b'0'..=b'9' => {
                    let length = self.length_of(|byte| is_word(byte) || byte == b'.' || byte == b'\'');
                    self.token(Kind::Number, length, is_glued)
                }
                byte if is_word(byte) => self.token(Kind::Word, self.length_of(is_word), is_glued),
                byte if byte.is_ascii_punctuation() => {
                    let is_pair = PAIRS.iter().any(|pair| self.text[self.at..].starts_with(pair));
                    self.token(Kind::Sign, 1 + usize::from(is_pair), is_glued)
                }
                // White space, and characters that no header has.
                _ => {
                    self.at += 1;
                    while !self.text.is_char_boundary(self.at) {
                        self.at += 1;
                    }
                    is_glued = false;
                    continue;
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        Lexer::new(text, 1).filter(|token| token.kind != Kind::End).map(|token| token.text).collect()
    }

    #[test]
    fn comments_lines_and_quotes_are_told_apart() {
        assert_eq!(words("a/*b*/c //d\ne"), ["a", "c", "e"]);
        assert_eq!(words("a // b \\\nc\nd"), ["a", "d"]);
        assert_eq!(words("\"/*\" 'x' L\"\\\"\" <<="), ["\"/*\"", "'x'", "L", "\"\\\"\"", "<<", "="]);
        assert_eq!(words("#define A \\\r\n 5\r\nb"), ["#", "define", "A", "5", "b"]);
        assert_eq!(words("ä a é \u{feff} b \0 c"), ["a", "b", "c"]);
        assert_eq!(words("\"no end\nx 'y\nz \"é"), ["\"no end", "x", "'y", "z", "\"é"]);
    }

    #[test]
    fn a_comment_without_an_end_takes_the_rest() {
        let mut lexer = Lexer::new("a\n/* b\nc", 1);
        assert_eq!(lexer.by_ref().map(|token| token.text).collect::<Vec<_>>(), ["a"]);
        assert_eq!((lexer.endless, lexer.line), (Some(2), 3));
    }

    #[test]
    fn lines_are_counted_through_comments_and_continued_lines() {
        let lines: Vec<_> = Lexer::new("a /*\n\n*/ b \\\nc\nd", 1).map(|token| (token.text, token.line)).collect();
        assert_eq!(lines, [("a", 1), ("b", 3), ("c", 4), ("d", 5)]);
    }
}
