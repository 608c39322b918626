//! Tables for people: columns aligned, numbers to the right.

use std::fmt;

pub use hikyaku_config::grouped;

/// Rows of text under a head.
#[derive(Clone, Debug)]
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    left: usize,
}

impl Table {
    /// A table whose first `left` columns are text, and the others numbers; the last may be text again
    /// if its head begins with a space.
    pub fn new(head: &[&'static str], left: usize) -> Self {
        Self { head: head.to_vec(), rows: Vec::new(), left }
    }

    /// Adds a row of as many cells as the head has, or fewer.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head: Vec<String> = self.head.iter().map(|h| h.trim().to_string()).collect();
        let width = |i: usize| {
            let cells = self.rows.iter().chain([&head]).filter_map(|row| row.get(i));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        for row in [&head].into_iter().chain(&self.rows) {
            let mut line = String::new();
            for (i, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let text = i < self.left || self.head[i].starts_with(' ');
                line += &if text { format!("{cell:<width$}") } else { format!("{cell:>width$}") };
                line += "  ";
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_to_the_right() {
        let mut table = Table::new(&["name", "n", " why"], 1);
        table.row(["a".into(), grouped(1_234_567), "x".into()]);
        table.row(["bcd".into(), grouped(7), "yz".into()]);
        assert_eq!(table.to_string(), "name          n  why\na     1 234 567  x\nbcd           7  yz\n");
    }
}
