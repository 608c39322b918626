//! What programs print. `println!` panics where the other end is closed or full; nothing here does.
//!
//! Names come from elsewhere: from hosts, from servers of the line, from files. So whatever is printed goes through [`plain`],
//! also the log.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::io::{self, ErrorKind, Write};

/// Standard output took less than there was to print.
#[derive(Debug, thiserror::Error)]
#[error("standard output: {0}")]
pub struct NotPrinted(io::Error);

/// Whether a character steers a terminal or hides, instead of being seen: control characters, marks of direction (Unicode
/// Standard Annex 9), what has no width, what ends a line.
pub fn is_unseen(c: char) -> bool {
    const HIDDEN: [std::ops::RangeInclusive<char>; 5] = [
        '\u{200b}'..='\u{200f}',
        '\u{2028}'..='\u{202e}',
        '\u{2060}'..='\u{206f}',
        '\u{fff9}'..='\u{fffb}',
        '\u{e0000}'..='\u{e007f}',
    ];
    c.is_control() || ['\u{61c}', '\u{180e}', '\u{feff}'].contains(&c) || HIDDEN.iter().any(|range| range.contains(&c))
}

/// The text with what is not seen in it as `\u1234`, the way JSON writes it, so that JSON stays the same. Ends of lines and
/// tabulators stay.
pub fn plain(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_unseen(c) && !['\n', '\t'].contains(&c))
}

/// As [`plain`], for what is to stay in one line.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_unseen)
}

/// As [`plain`], for lines of the log on a terminal, which have colours.
pub fn plain_but_colours(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_unseen(c) && !['\n', '\t', '\u{1b}'].contains(&c))
}

fn escaped(text: &str, is_odd: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_odd) {
        return text.into();
    }
    let mut plain = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            _ if !is_odd(c) => plain.push(c),
            '\n' => plain.push_str("\\n"),
            '\r' => plain.push_str("\\r"),
            '\t' => plain.push_str("\\t"),
            _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| _ = write!(plain, "\\u{unit:04x}")),
        }
    }
    plain.into()
}

/// Writes all of it to standard output. A reader that has seen enough (`| head`) is no error.
///
/// # Errors
/// There is no room for it.
pub fn print(text: impl AsRef<[u8]>) -> Result<(), NotPrinted> {
    let mut out = io::stdout().lock();
    let text = String::from_utf8_lossy(text.as_ref());
    match out.write_all(plain(&text).as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(NotPrinted),
    }
}

/// Writes to standard error. What nobody takes there is lost: there is nowhere else to say it.
pub fn complain(text: impl Display) {
    progress(plain(&text.to_string()));
}

/// As [`complain`], for what is written over itself on a terminal: it may have what moves the cursor, and no words of others.
pub fn progress(text: impl Display) {
    let mut out = io::stderr().lock();
    let _ = write!(out, "{text}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_shown_as_its_number() {
        for (text, shown) in [
            ("printer\n\tb", "printer\n\tb"),
            ("日本語 é", "日本語 é"),
            ("a\u{1b}[31mb\r\u{9b}\u{7f}", "a\\u001b[31mb\\r\\u009b\\u007f"),
            ("txt.\u{202e}exe\u{2066}\u{200b}\u{feff}", "txt.\\u202eexe\\u2066\\u200b\\ufeff"),
            ("\u{e0041}", "\\udb40\\udc41"),
        ] {
            assert_eq!(plain(text), shown);
        }
        assert_eq!(one_line("a\nb"), "a\\nb");
        assert_eq!(plain_but_colours("\u{1b}[1m\u{202e}"), "\u{1b}[1m\\u202e");
    }
}
