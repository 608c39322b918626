//! What stands behind a key, and the readers of values that are no router's own.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::problem::did_you_mean;

/// What stands behind a key, as text: one definition reads it, wherever it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A string, a number, true or false.
    One(String),
    /// An array of such.
    Many(Vec<String>),
}

/// A value that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The value; of an array the one that is wrong.
    pub value: String,
    /// Why, and what to give instead.
    pub why: String,
}

impl Value {
    /// Its text; that of an array has commas.
    pub fn text(&self) -> String {
        match self {
            Self::One(value) => value.clone(),
            Self::Many(values) => values.join(","),
        }
    }

    /// Reads one value; an array counts as its text.
    pub fn one<T, E: ToString>(&self, parse: impl Fn(&str) -> Result<T, E>) -> Result<T, Wrong> {
        let text = self.text();
        parse(&text).map_err(|why| Wrong { value: text, why: why.to_string() })
    }

    /// Reads an array of values, or one.
    pub fn many<T, E: ToString>(&self, parse: impl Fn(&str) -> Result<T, E>) -> Result<Vec<T>, Wrong> {
        let values = match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        };
        let read = |text: &String| parse(text).map_err(|why| Wrong { value: text.clone(), why: why.to_string() });
        values.iter().map(read).collect()
    }
}

/// Reads a number of a range; the error names the range.
pub fn number<N>(range: RangeInclusive<N>) -> impl Fn(&str) -> Result<N, String> + Clone + Send + Sync + 'static
where
    N: FromStr + PartialOrd + fmt::Display + Clone + Send + Sync + 'static,
{
    move |text| match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!("give a number from {} to {}", range.start(), range.end())),
    }
}

/// Reads `true` or `false`.
pub fn boolean(text: &str) -> Result<bool, &'static str> {
    text.parse().map_err(|_| "it is true or false")
}

/// Words that a key may have for its value, and what they mean.
pub type Words<T> = [(&'static str, T)];

/// The words alone, for [`Syntax::OneOf`](crate::Syntax).
pub fn words<T>(words: &Words<T>) -> Vec<&'static str> {
    words.iter().map(|(word, _)| *word).collect()
}

/// Reads one of some words.
pub fn one_of<T: Copy>(words: &'static Words<T>) -> impl Fn(&str) -> Result<T, String> {
    move |text| {
        let meaning = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
        meaning.ok_or_else(|| {
            let words = self::words(words);
            format!("give one of: {}{}", words.join(", "), did_you_mean(text, words))
        })
    }
}
