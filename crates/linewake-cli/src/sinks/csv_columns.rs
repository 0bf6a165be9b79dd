//! The columns of `--csv`. The header, the rows and the help come from this table, and a test compares docs/csv.md with
//! it.

use std::borrow::Cow;
use std::sync::LazyLock;

use linewake::{EdgeEvent, EdgeKind, Offset};

/// A column.
pub(super) struct Column {
    pub(super) name: &'static str,
    /// The values of its cells.
    values: &'static str,
    /// The meaning of its cells.
    means: &'static str,
    pub(super) cell: Cell,
}

/// How a cell is made. Columns are in this order: the time, cells of the subject, numbers.
pub(super) enum Cell {
    Time,
    Subject(for<'a> fn(&Subject<'a>) -> Cow<'a, str>),
    Number(fn(&Numbers) -> u32),
}

/// The subject of a row: a line or a chip, and what happened to it.
pub(super) struct Subject<'a> {
    pub(super) chip: &'a str,
    /// Offset and name of the line; `None` in a row about a whole chip.
    pub(super) line: Option<(Offset, Option<&'a str>)>,
    pub(super) event: &'static str,
    /// 1, 0, or -1 if it is not known or has no meaning.
    pub(super) level: i8,
}

/// The numbers of an edge; zeros in a row that is no edge.
#[derive(Default)]
pub(super) struct Numbers {
    seqno: u32,
    line_seqno: u32,
    overflowed: u32,
    merged: u32,
}

const fn column(name: &'static str, values: &'static str, means: &'static str, cell: Cell) -> Column {
    Column { name, values, means, cell }
}

const NUMBER: &str = "integer, 0 to 2^32−1";

#[rustfmt::skip]
pub(super) const COLUMNS: [Column; 10] = [
    column("timestamp_ns", "integer, 0 to 2^64−1",
        "when, in nanoseconds of the clock that stamps the edges; see \"Times\"",
        Cell::Time),
    column("chip", "text",
        "name of the chip, or its `id` if two chips have the same name",
        Cell::Subject(|row| row.chip.into())),
    column("offset", "integer",
        "place of the line on its chip, from 0; −1 in a row about a whole chip",
        Cell::Subject(|row| row.line.map_or("-1".into(), |(offset, _)| offset.to_string().into()))),
    column("name", "text",
        "name of the line; empty if it has none, and in a row about a whole chip",
        Cell::Subject(|row| row.line.and_then(|(_, name)| name).unwrap_or_default().into())),
    column("event", "text",
        "one of the words below",
        Cell::Subject(|row| row.event.into())),
    column("level", "integer",
        "1 active, 0 inactive, −1 not known or not said",
        Cell::Subject(|row| row.level.to_string().into())),
    column("seqno", NUMBER,
        "number of the edge among all of its request; 0 where there is none",
        Cell::Number(|edge| edge.seqno)),
    column("line_seqno", NUMBER,
        "number of the edge among those of its line; 0 where there is none",
        Cell::Number(|edge| edge.line_seqno)),
    column("overflowed", NUMBER,
        "edges directly before this one that were dropped from a full queue",
        Cell::Number(|edge| edge.overflowed)),
    column("merged", NUMBER,
        "edges directly before this one that were merged into others",
        Cell::Number(|edge| edge.merged)),
];

/// The header row.
pub(super) fn header() -> &'static str {
    static HEADER: LazyLock<String> = LazyLock::new(|| COLUMNS.each_ref().map(|column| column.name).join(","));
    &HEADER
}

/// The table, as the help shows it.
pub(crate) fn help() -> String {
    let row = |Column { name, values, means, .. }: &Column| format!("\n  {name:<13} {values:<21} {means}");
    COLUMNS.iter().map(row).collect::<String>().replace('`', "").replace('−', "-")
}

impl<'a> Subject<'a> {
    /// The subject of an edge of this kind.
    pub(super) fn of_edge(edge: &'a EdgeEvent, kind: EdgeKind) -> Self {
        let level = i8::from(kind == EdgeKind::Rising);
        Self { chip: &edge.chip, line: Some((edge.offset, edge.name.as_deref())), event: kind.as_str(), level }
    }
}

impl Numbers {
    pub(super) fn of_edge(edge: &EdgeEvent) -> Self {
        let EdgeEvent { seqno, line_seqno, missed, .. } = *edge;
        Self { seqno, line_seqno, overflowed: missed.overflowed, merged: missed.merged }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = include_str!("../../../../docs/csv.md");

    #[test]
    fn the_document_has_these_columns() {
        assert!(DOCUMENT.contains(&format!("\n{}\n", header())));
        let rows = COLUMNS.iter().map(|column| format!("| `{}` | {} | {} |", column.name, column.values, column.means));
        let rows: Vec<_> = rows.collect();
        let table = DOCUMENT.lines().skip_while(|line| !line.starts_with("| column ")).skip(2);
        let table: Vec<_> = table.take_while(|line| line.starts_with('|')).collect();
        assert_eq!(table, rows, "replace the table in docs/csv.md by\n{}\n", rows.join("\n"));
    }

    #[test]
    fn cells_come_in_the_order_in_which_they_are_written() {
        let rank = |cell: &Cell| match cell {
            Cell::Time => 0,
            Cell::Subject(_) => 1,
            Cell::Number(_) => 2,
        };
        assert!(COLUMNS.iter().map(|column| rank(&column.cell)).is_sorted());
        assert_eq!(COLUMNS.iter().filter(|column| matches!(column.cell, Cell::Time)).count(), 1);
    }
}
