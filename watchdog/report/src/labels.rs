//! Labels that people configure for every alert or line: what Prometheus, Alertmanager and Loki alike take as one.

use std::collections::BTreeMap;

/// Longer values belong into a text.
pub(crate) const MAX_VALUE: usize = 256;
const MAX_NAME: usize = 64;

/// Labels that a receiver would refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// It is no label.
    #[error(
        "`{0}` is no label: take letters, digits and underscores, a letter first, and a value of 1 to {MAX_VALUE} bytes"
    )]
    Unfit(String),
    /// The watchdog sets it itself.
    #[error("the label `{0}` is set by the watchdog itself: choose another name")]
    Own(String),
    /// There are more than the receiver has room for.
    #[error("{given} labels are more than {most}: leave some out")]
    TooMany {
        /// How many are given.
        given: usize,
        /// How many there may be.
        most: usize,
    },
}

/// Whether they can be sent beside our `own`.
pub(crate) fn check(
    labels: &BTreeMap<String, String>,
    own: &[&str],
    most: usize,
) -> Result<(), LabelError> {
    if let Some(taken) = labels.keys().find(|name| own.contains(&name.as_str())) {
        return Err(LabelError::Own(taken.clone()));
    }
    if labels.len() > most {
        return Err(LabelError::TooMany { given: labels.len(), most });
    }
    let unfit = labels.iter().find(|(name, value)| !is_fit(name, value));
    unfit.map_or(Ok(()), |(name, _)| Err(LabelError::Unfit(name.chars().take(MAX_NAME).collect())))
}

/// Two underscores in front are the receivers' own.
fn is_fit(name: &str, value: &str) -> bool {
    let rest = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(rest)
        && !name.starts_with("__")
        && name.len() <= MAX_NAME
        && (1..=MAX_VALUE).contains(&value.len())
        && !value.contains(|c: char| c.is_control() || c == '\u{fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_receiver_would_refuse_is_refused_at_the_start() {
        let one = |name: &str, value: &str| {
            let labels = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            check(&labels, &["job"], 2)
        };
        assert_eq!(one("cluster", "blue"), Ok(()));
        assert_eq!(one("job", "x"), Err(LabelError::Own("job".into())));
        for (name, value) in
            [("", "x"), ("1a", "x"), ("a-b", "x"), ("__a", "x"), ("a", ""), ("a", "b\n")]
        {
            assert_eq!(one(name, value), Err(LabelError::Unfit(name.into())));
        }
        let many = ["a", "b", "c"].map(|name| (name.to_owned(), "x".to_owned())).into();
        assert_eq!(check(&many, &[], 2), Err(LabelError::TooMany { given: 3, most: 2 }));
    }
}
