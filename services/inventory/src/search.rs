//! What a search finds and in which order, as patterns for SQL's `LIKE`.
//!
//! Both databases compare alike only what is folded before: the text of a product is kept folded ([`text`]), and what
//! people type is folded here. A product is found when every word typed is somewhere in it; where the name begins
//! with what was typed comes first, then where a word of the name does, then the rest:
//!
//! ```sql
//! WHERE text LIKE $1 AND text LIKE $2 AND text LIKE $3 AND text LIKE $4
//! ORDER BY CASE WHEN text LIKE $5 THEN 0 WHEN text LIKE $6 THEN 1 ELSE 2 END
//! ```

/// Words that are looked for; further ones are passed over.
const WORDS: usize = 4;

/// The longest search, in characters; the rest is passed over.
const MAX_LENGTH: usize = 100;

/// Between the name and the rest of a product's text.
const END_OF_NAME: char = '|';

/// The patterns of one search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Each must fit; `%` fits everything.
    pub words: [String; WORDS],
    /// Fits where the name begins with what was typed.
    pub begins: String,
    /// Fits where a word of the name begins with the first one typed.
    pub word: String,
}

impl Search {
    /// None if no letter or digit was typed: then everything is shown.
    #[must_use]
    pub fn new(typed: &str) -> Option<Self> {
        let folded = folded(&typed.chars().take(MAX_LENGTH).collect::<String>());
        let first = folded.split(' ').find(|word| !word.is_empty())?;
        let mut words = [const { String::new() }; WORDS];
        let mut typed = folded.split(' ').filter(|word| !word.is_empty());
        for pattern in &mut words {
            *pattern = typed.next().map_or_else(|| "%".to_owned(), |word| format!("%{word}%"));
        }
        let word = format!("% {first}%{END_OF_NAME}%");
        Some(Self { words, begins: format!(" {folded}%"), word })
    }
}

/// The text of a product that is searched: name, category and description, folded, each word after a space.
#[must_use]
pub fn text(name: &str, category: &str, description: &str) -> String {
    let [name, category, description] = [name, category, description].map(folded);
    format!(" {name} {END_OF_NAME} {category} {description}")
}

/// Lower case, and one space for whatever is neither letter nor digit: so nothing means anything to `LIKE`.
/// An apostrophe goes without a trace, as in “chefs knife”.
fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text.chars().filter(|letter| !matches!(letter, '\'' | '’')) {
        if letter.is_alphanumeric() {
            folded.extend(letter.to_lowercase());
        } else if !folded.is_empty() && !folded.ends_with(' ') {
            folded.push(' ');
        }
    }
    folded.truncate(folded.trim_end().len());
    folded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{CATEGORIES, products};

    /// `LIKE` with `%` alone, as no other sign is ever in a pattern.
    fn like(text: &str, pattern: &str) -> bool {
        match pattern.split_once('%') {
            None => text == pattern,
            Some((head, rest)) => text.strip_prefix(head).is_some_and(|text| {
                let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
                ends.any(|at| like(&text[at..], rest))
            }),
        }
    }

    /// The names that a search of the seed finds, by group.
    fn found(typed: &str) -> [Vec<String>; 3] {
        let search = Search::new(typed).expect("words");
        let mut groups = [const { Vec::new() }; 3];
        for product in products() {
            let category = CATEGORIES.iter().find(|category| category.id == product.category);
            let text = text(&product.name, category.expect("one").name, &product.description);
            if search.words.iter().all(|word| like(&text, word)) {
                let later = usize::from(!like(&text, &search.word)) + 1;
                groups[if like(&text, &search.begins) { 0 } else { later }].push(product.name);
            }
        }
        groups
    }

    #[test]
    fn a_name_that_begins_so_comes_before_a_word_and_a_word_before_the_rest() {
        let [begins, word, rest] = found("Oak");
        assert!(begins.contains(&"Oak chopping board".to_owned()), "{begins:?}");
        assert!(word.contains(&"Chess set in oak".to_owned()), "{word:?}");
        assert!(rest.iter().all(|name| !name.to_lowercase().contains(" oak")), "{rest:?}");
        let [_, _, rest] = found("juice");
        assert_eq!(rest.len(), 5, "only the description says so: {rest:?}");
    }

    #[test]
    fn every_word_must_be_there_in_any_order_and_categories_count() {
        let [begins, word, rest] = found("  board WALNUT ");
        assert_eq!(begins, Vec::<String>::new());
        assert_eq!(word, ["Walnut chopping board"]);
        assert_eq!(rest, ["Chess set in walnut"], "a board is in its description");
        let all: usize = found("lighting").iter().map(Vec::len).sum();
        assert_eq!(all, 25);
        assert_eq!(found("chefs knife").iter().map(Vec::len).sum::<usize>(), 5);
        assert_eq!(found("walnut zebra").iter().map(Vec::len).sum::<usize>(), 0);
    }

    #[test]
    fn nothing_typed_means_anything_to_sql() {
        for nothing in ["", "  ", "%", "_", "!'\\"] {
            assert_eq!(Search::new(nothing), None, "{nothing}");
        }
        let search = Search::new("50%_off'; --").expect("words");
        assert_eq!(search.words, ["%50%", "%off%", "%", "%"]);
        let long = Search::new(&"é".repeat(1000)).expect("words");
        assert_eq!(long.words[0].chars().count(), MAX_LENGTH + 2);
    }
}
