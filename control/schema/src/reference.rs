//! The reference of keys, made from the rows that read them.

use std::fmt::Write;

use crate::key::{Change, Row, Syntax};

impl Row {
    /// What its value looks like, in the reference.
    fn form(&self) -> String {
        match self.syntax {
            Syntax::Bool => "true or false".into(),
            Syntax::OneOf(_, words) => words().join(", "),
            syntax => syntax.placeholder().replace('|', " or "),
        }
    }

    /// Its default, in the reference.
    fn without(&self) -> String {
        match (self.required, self.syntax, self.default) {
            (true, ..) => "must be set".into(),
            (_, Syntax::Bool, "") => "`false`".into(),
            (_, _, "") => String::new(),
            (.., default) => format!("`{default}`"),
        }
    }
}

/// The table of a section, under its head, as it stands in docs/configuration.md.
pub fn reference<'a>(head: &str, rows: impl IntoIterator<Item = &'a Row>) -> String {
    let mut text = format!("### `{head}`\n\n| key | value | default | change | |\n| --- | --- | --- | --- | --- |\n");
    for row in rows {
        let help = row.help.replace('|', "\\|").replace('<', "&lt;");
        let change = if row.change == Change::Restart { "restart" } else { "live" };
        let _ = writeln!(text, "| `{}` | {} | {} | {change} | {help} |", row.name, row.form(), row.without());
    }
    text + "\n"
}
