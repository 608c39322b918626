//! JSON of strangers: values that may be anything, lists that may be long.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A value where a text, a number or a truth is expected.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Text(String),
    Number(u64),
    Truth(bool),
    /// Below zero, or with a fraction.
    OtherNumber(f64),
    Other,
}

impl fmt::Display for Scalar {
    /// In few words, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&shown(text)),
            Self::Number(number) => number.fmt(f),
            Self::Truth(truth) => truth.fmt(f),
            Self::OtherNumber(number) => number.fmt(f),
            Self::Other => f.write_str("a list or an object"),
        }
    }
}

/// A stranger's text in a message: quoted, without control characters, and short.
pub(super) fn shown(text: &str) -> String {
    let mut start: String = text.chars().take(48).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    format!("{start:?}")
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
        Ok(u64::try_from(number).map_or(Scalar::OtherNumber(number as f64), Scalar::Number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar::OtherNumber(number))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Scalar, E> {
        Ok(Scalar::Truth(truth))
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

/// A list of which the first `N` are kept and the others counted.
#[derive(Debug)]
pub(super) struct AtMost<T, const N: usize> {
    kept: Vec<T>,
    /// As many as there were.
    count: usize,
}

impl<T, const N: usize> AtMost<T, N> {
    /// The list, if it was not too long; else how long it was.
    pub fn all(self) -> Result<Vec<T>, usize> {
        if self.count > N { Err(self.count) } else { Ok(self.kept) }
    }
}

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for AtMost<T, N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(AtMostVisitor(Self { kept: Vec::new(), count: 0 }))
    }
}

struct AtMostVisitor<T, const N: usize>(AtMost<T, N>);

impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for AtMostVisitor<T, N> {
    type Value = AtMost<T, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut all = self.0;
        while all.kept.len() < N {
            let Some(element) = list.next_element()? else { break };
            all.kept.push(element);
        }
        all.count = all.kept.len();
        while all.kept.len() == N && list.next_element::<IgnoredAny>()?.is_some() {
            all.count += 1;
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_is_a_scalar() {
        for (json, scalar, words) in [
            (r#""a\u0007b""#, Scalar::Text("a\u{7}b".into()), r#""a\u{7}b""#),
            ("7", Scalar::Number(7), "7"),
            ("18446744073709551615", Scalar::Number(u64::MAX), "18446744073709551615"),
            ("-7", Scalar::OtherNumber(-7.0), "-7"),
            ("1.5", Scalar::OtherNumber(1.5), "1.5"),
            ("true", Scalar::Truth(true), "true"),
            ("null", Scalar::Other, "a list or an object"),
            (r#"[1,{"a":[]}]"#, Scalar::Other, "a list or an object"),
            (r#"{"a":{"b":[1]}}"#, Scalar::Other, "a list or an object"),
        ] {
            let read: Scalar = serde_json::from_str(json).unwrap();
            assert_eq!((&read, read.to_string().as_str()), (&scalar, words), "{json}");
        }
        assert_eq!(shown(&"é".repeat(50)).chars().count(), 48 + 3);
    }

    #[test]
    fn long_lists_are_counted() {
        let list = |json: &str| serde_json::from_str::<AtMost<u8, 3>>(json).map(AtMost::all);
        assert_eq!(list("[]").unwrap(), Ok(vec![]));
        assert_eq!(list("[1,2,3]").unwrap(), Ok(vec![1, 2, 3]));
        assert_eq!(list("[1,2,3,4]").unwrap(), Err(4));
        assert_eq!(list("[1,2,3,\"x\",[],{}]").unwrap(), Err(6));
        assert!(list("[1,\"x\"]").is_err() && list("{}").is_err() && list("[1,2,3,4").is_err());
    }
}
