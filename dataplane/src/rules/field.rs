//! One part of a packet, such as the destination port: which rules fit which of its values.

/// What a rule wants of a field.
pub(super) enum Wanted<T> {
    /// Nothing: every value fits.
    Any,
    /// One of these values: the first of each range, and the first behind it; `None`: there is none behind it. They may
    /// overlap; without any, no value fits.
    Of(Vec<(T, Option<T>)>),
}

impl<T> Wanted<T> {
    /// What a list asks for: any value if it is empty, else those that `range` makes of its members.
    pub fn of<V>(list: &[V], range: impl Fn(&V) -> Option<(T, Option<T>)>) -> Self {
        if list.is_empty() { Self::Any } else { Self::Of(list.iter().filter_map(range).collect()) }
    }
}

/// All values, cut into ranges within which the same rules fit. Each range has a row of bits, one for each rule.
#[derive(Debug)]
pub(super) struct Field<T> {
    /// The first value of each range, in order; that of the first is 0.
    starts: Box<[T]>,
    /// The rows, one behind the other.
    rows: Box<[u64]>,
    /// Words of a row.
    words: usize,
}

impl<T: Copy + Ord + Default> Field<T> {
    /// Of so many rules. Takes time and memory in proportion to ranges times words, whatever overlaps.
    pub fn new(rules: &[Wanted<T>]) -> Self {
        let words = rules.len().div_ceil(64);
        let mut row = vec![0; words];
        // Where a rule begins to fit or ceases to.
        let mut turns = Vec::new();
        for (rule, wanted) in rules.iter().enumerate() {
            match wanted {
                Wanted::Any => flip(&mut row, rule),
                Wanted::Of(ranges) => {
                    let ends = merged(ranges).into_iter().flat_map(|(first, behind)| [Some(first), behind]);
                    turns.extend(ends.flatten().map(|at| (at, rule)));
                }
            }
        }
        turns.sort_unstable();
        let (mut starts, mut rows) = (vec![T::default()], Vec::new());
        for (at, rule) in turns {
            if starts.last().is_some_and(|&last| last < at) {
                rows.extend_from_slice(&row);
                starts.push(at);
            }
            flip(&mut row, rule);
        }
        rows.extend_from_slice(&row);
        Self { starts: starts.into(), rows: rows.into(), words }
    }

    /// The rules that fit this value.
    #[inline]
    pub fn row(&self, value: T) -> &[u64] {
        let at = self.starts.partition_point(|&start| start <= value) - 1;
        &self.rows[at * self.words..][..self.words]
    }

    pub fn bytes(&self) -> usize {
        size_of_val(&*self.starts) + size_of_val(&*self.rows)
    }
}

fn flip(row: &mut [u64], rule: usize) {
    row[rule / 64] ^= 1 << (rule % 64);
}

/// The same values in ranges that do not touch each other.
fn merged<T: Copy + Ord>(ranges: &[(T, Option<T>)]) -> Vec<(T, Option<T>)> {
    let mut ranges = ranges.to_vec();
    ranges.sort_unstable_by_key(|&(first, _)| first);
    let mut merged: Vec<(T, Option<T>)> = Vec::new();
    for (first, behind) in ranges {
        match merged.last_mut() {
            Some((_, last)) if last.is_none_or(|last| first <= last) => {
                *last = last.zip(behind).map(|(a, b)| a.max(b));
            }
            _ => merged.push((first, behind)),
        }
    }
    merged
}
