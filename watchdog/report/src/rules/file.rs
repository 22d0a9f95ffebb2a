//! Rules in a file that Prometheus reads: replaced whole or not at all, and never where another hand has written.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use url::Url;

use crate::http::{Endpoint, EndpointError, HttpOptions};
use crate::rules::{Group, RuleStore, StoreError, plain};

/// What a file of ours begins with.
pub const MARKER: &str = "# Written by oomen.";
const HEAD: &str = "# Written by oomen. Changes are lost: it is written anew when what is learned of a target changes.\n";
/// Beside the file, hidden, and of an ending that no pattern for rule files takes.
const UNFINISHED: &str = ".oomen-tmp";

/// A rule file.
#[derive(Debug)]
pub struct FileStore {
    path: PathBuf,
    reload: Option<Endpoint>,
}

impl FileStore {
    /// The store that keeps all groups in the file `path`.
    pub fn new(path: PathBuf) -> Self {
        Self { path, reload: None }
    }

    /// The same, which asks whoever reads the file to read it again, as Prometheus does at a POST to `/-/reload`.
    ///
    /// # Errors
    /// When that address cannot be used.
    pub fn reloading(self, url: &Url, options: &HttpOptions) -> Result<Self, EndpointError> {
        Ok(Self { reload: Some(Endpoint::new(url, "", options)?), ..self })
    }
}

#[async_trait]
impl RuleStore for FileStore {
    fn name(&self) -> &'static str {
        "file"
    }

    async fn store(&self, groups: &[Group]) -> Result<(), StoreError> {
        let text = match groups {
            [] => None,
            groups => {
                let rules = plain(groups).map_err(|e| StoreError::permanent(e.to_string()))?;
                Some(format!("{HEAD}{rules}"))
            }
        };
        let path = self.path.clone();
        let done = tokio::task::spawn_blocking(move || match text {
            Some(text) => replace(&path, &text),
            None => remove(&path),
        });
        done.await.map_err(|error| StoreError::passing(error.to_string()))??;
        let Some(reload) = &self.reload else { return Ok(()) };
        // Until it has worked the whole is tried again: the file then stays as it is.
        reload.post("text/plain", HeaderMap::new(), Vec::new()).await.map_err(|error| {
            StoreError::passing(format!(
                "{} is written, and who reads it was not told: {error}",
                self.path.display()
            ))
        })
    }
}

/// Makes the file's content `text`, which begins with [`MARKER`]: readers see the former or the new one, whole.
///
/// # Errors
/// [`StoreError`] when another hand has written the file, or the disk refuses; then it is as it was.
pub fn replace(path: &Path, text: &str) -> Result<(), StoreError> {
    if before(path)?.is_some_and(|before| before == text.as_bytes()) {
        return Ok(());
    }
    let unfinished = unfinished(path);
    let written = write(&unfinished, text).and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        // A full disk must not stay full of it.
        fs::remove_file(&unfinished).ok();
    }
    written.and_then(|()| settle(path)).map_err(|error| failed(path, "written", &error))
}

/// Removes a file of ours; one that is not there is no error.
fn remove(path: &Path) -> Result<(), StoreError> {
    if before(path)?.is_none() {
        return Ok(());
    }
    fs::remove_file(path)
        .and_then(|()| settle(path))
        .map_err(|error| failed(path, "removed", &error))
}

/// What is in a file of ours; `None` where there is no file.
fn before(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => {}
        Ok(_) => {
            return Err(StoreError::permanent(format!(
                "{} is no plain file: name another one",
                path.display()
            )));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, "read", &error)),
    }
    let mut head = vec![0; MARKER.len()];
    let read = File::open(path).and_then(|mut file| match file.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
        Ok(()) if head != MARKER.as_bytes() => Ok(None),
        Ok(()) => {
            file.read_to_end(&mut head)?;
            Ok(Some(head))
        }
    });
    match read {
        Ok(Some(text)) => Ok(Some(text)),
        Ok(None) => Err(StoreError::permanent(format!(
            "{} was written by another hand, as it does not begin with `{MARKER}`: it is left alone; name another \
             file, or remove it",
            path.display()
        ))),
        Err(error) => Err(failed(path, "read", &error)),
    }
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(UNFINISHED);
    path.with_file_name(name)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Puts the directory's new state on the disk.
fn settle(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

fn failed(path: &Path, what: &str, error: &io::Error) -> StoreError {
    let text = format!("{} cannot be {what}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::InvalidFilename => StoreError::permanent(text),
        _ => StoreError::passing(text),
    }
}

#[cfg(test)]
mod tests {
    use watchdog_core::fit::{Fit, Scale};
    use watchdog_core::units::Bytes;

    use super::*;
    use crate::rules::{Selector, TargetFit, group};

    fn of(target: &str, limit: u64) -> Group {
        let mib = Bytes::from_mib;
        let (lowest, record, step, swing) = (mib(50), mib(60), mib(1), mib(5));
        let scales = vec![Scale { window: 4096.0, lowest, record, step, swing }];
        let fit = Fit { watched: 1e4, scales };
        let fit = TargetFit {
            target: target.into(),
            limit: Some(mib(limit)),
            fit,
            ..TargetFit::default()
        };
        group(&fit, &Selector::default()).expect("a group")
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("a directory");
        entries.map(|entry| entry.expect("a file").file_name().to_string_lossy().into()).collect()
    }

    #[tokio::test]
    async fn the_file_is_what_was_stored_last_and_nothing_lies_beside_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("fitted.yaml");
        let store = FileStore::new(path.clone());
        store.store(&[]).await.expect("nothing to remove");
        for limit in [256, 512] {
            store.store(&[of("orders", limit)]).await.expect("stored");
            let text = fs::read_to_string(&path).expect("a file");
            assert!(text.starts_with(MARKER), "{text}");
            assert!(text.contains(&Bytes::from_mib(limit).to_string()), "{text}");
            assert_eq!(names(directory.path()), ["fitted.yaml"]);
        }
        store.store(&[]).await.expect("removed");
        assert_eq!(names(directory.path()), Vec::<String>::new());
    }

    #[tokio::test]
    async fn the_same_again_is_not_written_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("fitted.yaml");
        let store = FileStore::new(path.clone());
        store.store(&[of("orders", 256)]).await.expect("stored");
        // A second write would need the place of the unfinished file.
        fs::create_dir(unfinished(&path)).expect("a directory");
        store.store(&[of("orders", 256)]).await.expect("as it is");
        let error = store.store(&[of("orders", 512)]).await.expect_err("written again");
        assert!(error.text.contains("cannot be written"), "{error}");
        let text = fs::read_to_string(&path).expect("a file");
        assert!(text.contains("256.0 MiB"), "what was there before is still there: {text}");
    }

    #[tokio::test]
    async fn a_file_by_another_hand_is_neither_overwritten_nor_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        for other in ["groups: []\n", "", "# Written by hand."] {
            let path = directory.path().join("fitted.yaml");
            fs::write(&path, other).expect("written");
            let store = FileStore::new(path.clone());
            for groups in [vec![of("orders", 256)], Vec::new()] {
                let error = store.store(&groups).await.expect_err("refused");
                assert!(!error.may_pass && error.text.contains("another hand"), "{error}");
                assert_eq!(fs::read_to_string(&path).expect("a file"), other);
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_file_and_what_is_in_no_directory_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let target = directory.path().join("target");
        std::os::unix::fs::symlink(&target, directory.path().join("link")).expect("a link");
        for (name, word) in
            [("", "no plain file"), ("link", "no plain file"), ("no/such", "cannot be")]
        {
            let store = FileStore::new(directory.path().join(name));
            let error = store.store(&[of("orders", 256)]).await.expect_err(name);
            assert!(!error.may_pass && error.text.contains(word), "{error}");
        }
        assert!(!target.exists());
    }
}
