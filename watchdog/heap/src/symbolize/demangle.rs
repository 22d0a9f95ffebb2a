//! Function names as people write them, from the names that compilers give to linkers.

use std::fmt::{self, Write};

use cpp_demangle::{DemangleOptions, Symbol};

/// Longest name that is taken out of a file, and that is shown. Generic code makes long ones; a name without end is no
/// name, and a short one can be written so that it expands to gigabytes.
const MAX_RAW: usize = 16 << 10;
const MAX_SHOWN: usize = 4 << 10;

/// A name from a file, cut at its bound.
pub(super) fn text(raw: &[u8]) -> String {
    let shown = raw.get(..MAX_SHOWN).unwrap_or(raw);
    String::from_utf8_lossy(shown).into_owned()
}

/// A mangled name without the mangling and without its hash; `None` when it is not mangled (C, Go, assembly).
pub(super) fn demangled(raw: &[u8]) -> Option<String> {
    let raw = std::str::from_utf8(raw.get(..MAX_RAW).unwrap_or(raw)).ok()?;
    let mut shown = Bounded::default();
    if let Ok(rust) = rustc_demangle::try_demangle(raw) {
        // An error is the bound: what there is so far is shown.
        write!(shown, "{rust:#}").ok();
        return Some(shown.text);
    }
    if !raw.starts_with("_Z") {
        return None;
    }
    let symbol = Symbol::new(raw).ok()?;
    symbol.structured_demangle(&mut shown, &DemangleOptions::default()).ok();
    (!shown.text.is_empty()).then_some(shown.text)
}

/// The name of a Rust function as line tables alone give it, `remember<u32>`, in the form that demangled names have:
/// without the types that generic code was made for, and closures without their number.
pub(super) fn short_rust(name: &str) -> &str {
    if name.starts_with("{closure") || name.starts_with("{async") || name.starts_with("{coroutine")
    {
        return "{{closure}}";
    }
    match name.find('<') {
        Some(end) if end > 0 => &name[..end],
        _ => name,
    }
}

/// A string that refuses to grow beyond its bound.
#[derive(Default)]
struct Bounded {
    text: String,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        if self.text.len() + more.len() > MAX_SHOWN {
            return Err(fmt::Error);
        }
        self.text.push_str(more);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_manglings_of_rust_lose_their_hash() {
        let legacy = b"_ZN4shop5cache8remember17h0c72f8496a8f95f7E";
        assert_eq!(demangled(legacy).as_deref(), Some("shop::cache::remember"));
        let v0 = b"_RNvNtCs1234_4shop5cache8remember";
        assert_eq!(demangled(v0).as_deref(), Some("shop::cache::remember"));
    }

    #[test]
    fn cpp_is_demangled_and_c_and_go_are_left_as_they_are() {
        assert_eq!(demangled(b"_ZN4shop5cacheEi").as_deref(), Some("shop::cache(int)"));
        assert_eq!(demangled(b"je_malloc"), None);
        assert_eq!(demangled(b"main.(*Shop).remember"), None);
        assert_eq!(demangled(b"_Z"), None);
    }

    #[test]
    fn names_that_expand_without_end_are_cut() {
        // Every level doubles what the substitution of the level before it says.
        let mut bomb = "_Z1fI1a".to_owned();
        for level in 0..200 {
            write!(bomb, "St4pairIS{}_S{}_E", level % 10, level % 10).expect("written");
        }
        assert!(demangled(bomb.as_bytes()).is_none_or(|name| name.len() <= MAX_SHOWN));
        assert_eq!(text(&[b'x'; 1 << 20]).len(), MAX_SHOWN);
    }

    #[test]
    fn short_names_look_like_the_end_of_demangled_ones() {
        assert_eq!(short_rust("remember<alloc::vec::Vec<u8>>"), "remember");
        assert_eq!(short_rust("{closure#0}"), "{{closure}}");
        assert_eq!(short_rust("{async_fn#0}"), "{{closure}}");
        assert_eq!(short_rust("{impl#3}"), "{impl#3}");
        assert_eq!(short_rust("<odd>"), "<odd>");
    }
}
