//! What must not be repeated: the credentials, and what of an address may be one.

use base64::Engine;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::options::Auth;

const INSTEAD: &str = "[secret]";
/// Shorter parts of a path are words, such as `alerts` or `hook`; a token that short would protect nothing.
const SHORTEST_IN_PATH: usize = 8;
/// Values of a query are more often keys than words.
const SHORTEST_IN_QUERY: usize = 4;
/// The beginning of a secret that is found at the end of a text that was cut off. Fewer characters say nothing of it.
const TELLING: usize = 4;

/// Texts that no error may hold, the longest first.
pub(super) struct Secrets(Vec<SecretString>);

/// Everything of an address, its credentials and headers that may be secret.
pub(super) fn all(url: &Url, auth: Option<&Auth>, headers: &[(String, SecretString)]) -> Secrets {
    let mut found: Vec<String> = Vec::new();
    match auth {
        Some(Auth::Bearer(token)) => found.push(token.expose_secret().into()),
        Some(Auth::Basic { user, password }) => {
            let password = password.expose_secret();
            found.push(base64(format!("{user}:{password}").as_bytes()));
            found.extend([password.to_owned(), url.password().unwrap_or_default().to_owned()]);
            // A token may be given as the user, without a password.
            if password.is_empty() {
                found.extend([user.clone(), url.username().to_owned()]);
            }
        }
        None => {}
    }
    found.extend(headers.iter().map(|(_, value)| value.expose_secret().to_owned()));
    // A path that is named like the host, such as `/alertmanager`, is no secret.
    let host = url.host_str().unwrap_or_default();
    let is_told = |part: &str| host.contains(part.trim_matches('/'));
    let path = std::iter::once(url.path()).chain(url.path().split('/'));
    for part in path.filter(|part| part.len() >= SHORTEST_IN_PATH && !is_told(part)) {
        found.extend([part.to_owned(), decoded(part)]);
    }
    let query = url.query().unwrap_or_default();
    let values = query.split('&').filter_map(|pair| pair.split_once('=')).map(|(_, value)| value);
    for part in std::iter::once(query).chain(values).filter(|part| part.len() >= SHORTEST_IN_QUERY)
    {
        found.extend([part.to_owned(), decoded(part)]);
    }
    Secrets::new(found)
}

impl Secrets {
    fn new(mut found: Vec<String>) -> Self {
        found.retain(|secret| !secret.is_empty());
        found.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        found.dedup();
        Self(found.into_iter().map(SecretString::from).collect())
    }

    /// One more.
    pub(super) fn add(&mut self, secret: &str) {
        let mut found: Vec<_> = self.0.iter().map(|old| old.expose_secret().to_owned()).collect();
        found.push(secret.to_owned());
        *self = Self::new(found);
    }

    /// `text` without any of them; where it was `cut` off, without the beginning of one at its end either.
    pub(super) fn hidden(&self, text: &str, cut: bool) -> String {
        let hide =
            |text: String, secret: &SecretString| text.replace(secret.expose_secret(), INSTEAD);
        let text = self.0.iter().fold(text.to_owned(), hide);
        if !cut {
            return text;
        }
        let ends = self.0.iter().filter_map(|secret| begun(&text, secret.expose_secret()));
        match ends.min() {
            Some(end) => format!("{}{INSTEAD}", &text[..end]),
            None => text,
        }
    }
}

/// Where the beginning of `secret` starts that `text` ends with.
fn begun(text: &str, secret: &str) -> Option<usize> {
    (TELLING..secret.len())
        .rev()
        .filter_map(|length| secret.get(..length))
        .find_map(|beginning| text.strip_suffix(beginning).map(str::len))
}

/// A part of an address without its percent encoding.
pub(super) fn decoded(part: &str) -> String {
    // In a form a plus would be a space; in an address it is itself.
    let pair = format!("={}", part.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(pair.as_bytes())
        .map(|(_, value)| value.into_owned())
        .next()
        .unwrap_or_default()
}

/// As `Authorization: Basic` carries it.
pub(super) fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_secret_of_an_address_is_hidden_however_it_is_repeated() {
        let url: Url =
            "https://user:p%40ssw0rd@h/hook/T0PSECRET?key=abcd&n=1".parse().expect("a URL");
        let auth = Auth::Basic { user: "user".into(), password: "p@ssw0rd".into() };
        let secrets = all(&url, Some(&auth), &[("X-Key".into(), "k3y".into())]);
        let credentials = base64(b"user:p@ssw0rd");
        for (said, told) in [
            ("no /hook/T0PSECRET?key=abcd&n=1 here", "no [secret]?[secret] here"),
            ("p%40ssw0rd or p@ssw0rd", "[secret] or [secret]"),
            ("k3y, T0PSECRET, abcd, hook", "[secret], [secret], [secret], hook"),
            (&format!("Basic {credentials}"), "Basic [secret]"),
            ("nothing of it", "nothing of it"),
        ] {
            assert_eq!(secrets.hidden(said, false), told);
        }
    }

    #[test]
    fn a_path_that_is_named_like_its_host_is_no_secret() {
        let url: Url = "http://alertmanager.monitoring:9093/alertmanager/".parse().expect("a URL");
        let said = "no alertmanager at /alertmanager/api/v2/alerts";
        assert_eq!(all(&url, None, &[]).hidden(said, false), said);
    }

    #[test]
    fn a_text_that_was_cut_off_in_a_secret_does_not_end_with_its_beginning() {
        let secrets = Secrets::new(vec!["hunter22".into()]);
        assert_eq!(secrets.hidden("it is hunter", true), "it is [secret]");
        assert_eq!(secrets.hidden("it is hunter", false), "it is hunter");
        assert_eq!(secrets.hidden("a hun", true), "a hun");
    }

    #[test]
    fn percent_encoding_is_undone_and_a_plus_kept() {
        assert_eq!(decoded("a%20b+c&d=e"), "a b+c&d=e");
    }
}
