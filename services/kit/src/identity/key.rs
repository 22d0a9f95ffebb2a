//! Where the key comes from: the configuration, or a file that the first service of a data directory makes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret as _, SecretString};

use super::Keys;

/// The file's name in the data directory.
const FILE: &str = "internal.key";

/// Bytes: the output of SHA-256, as RFC 2104 asks for.
const LENGTH: usize = 32;

/// No key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be used.
    #[error(
        "cannot use the key for identities, {path}: {source}; give one in SHOP_INTERNAL_KEY instead"
    )]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others can read it.
    #[error("{path} holds the key for identities and others may read it: run `chmod 600 {path}`")]
    Open {
        /// Which.
        path: PathBuf,
    },
    /// It was cut short or replaced.
    #[error("{path} should hold {LENGTH} bytes, the key for identities; remove it for a new one")]
    Damaged {
        /// Which.
        path: PathBuf,
    },
    /// The kernel gave no randomness.
    #[error("the system gives no random bytes")]
    Random,
}

impl Keys {
    /// The keys of this secret.
    pub(crate) fn of(secret: &SecretString) -> Self {
        Self::new(secret.expose_secret().as_bytes())
    }

    /// Keys that nobody else has: what they sign holds in this process alone.
    pub(crate) fn ephemeral() -> Result<Self, KeyError> {
        Ok(Self::new(&random()?))
    }

    /// The keys kept in that directory. The first to come makes them; of several at once one wins.
    pub(crate) fn kept_in(directory: &Path) -> Result<Self, KeyError> {
        let path = directory.join(FILE);
        let failed = |source| KeyError::File { path: path.clone(), source };
        if !path.try_exists().map_err(failed)? {
            make(directory, &path)?;
        }
        let file = File::open(&path).map_err(failed)?;
        if file.metadata().map_err(failed)?.mode() & 0o077 != 0 {
            return Err(KeyError::Open { path });
        }
        let mut secret = Vec::with_capacity(LENGTH + 1);
        (&file).take(LENGTH as u64 + 1).read_to_end(&mut secret).map_err(failed)?;
        if secret.len() != LENGTH {
            return Err(KeyError::Damaged { path });
        }
        Ok(Self::new(&secret))
    }
}

/// Writes a key beside the place and links it there, so that nobody reads half of one.
fn make(directory: &Path, path: &Path) -> Result<(), KeyError> {
    let failed = |source| KeyError::File { path: path.to_owned(), source };
    let draft = directory.join(format!("{FILE}.{}", uuid::Uuid::now_v7()));
    let secret = random()?;
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&draft).map_err(failed)?;
    let written = file.write_all(&secret).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft).ok();
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(error)),
        _ => Ok(()),
    }
}

fn random() -> Result<[u8; LENGTH], KeyError> {
    let mut bytes = [0; LENGTH];
    SystemRandom::new().fill(&mut bytes).map_err(|_| KeyError::Random)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::SystemTime;

    use super::*;
    use crate::peers::Peer;

    fn same(one: &Keys, other: &Keys) -> bool {
        let now = SystemTime::now();
        let identity = one.sign(Peer::Orders, None, now).unwrap();
        other.verify(identity.to_str().unwrap(), now).is_ok()
    }

    #[test]
    fn services_that_start_at_once_in_one_directory_share_one_key_for_their_eyes_only() {
        let directory = tempfile::tempdir().unwrap();
        let keys: Vec<Keys> = std::thread::scope(|scope| {
            let start = || Keys::kept_in(directory.path()).unwrap();
            let started: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|other| same(&keys[0], other)));
        let left: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        let mode = fs::metadata(directory.path().join(FILE)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!same(&keys[0], &Keys::ephemeral().unwrap()));
    }

    #[test]
    fn a_key_that_others_may_read_or_that_was_cut_short_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        Keys::kept_in(directory.path()).unwrap();
        let path = directory.path().join(FILE);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Keys::kept_in(directory.path()), Err(KeyError::Open { .. })));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, [1; 31]).unwrap();
        assert!(matches!(Keys::kept_in(directory.path()), Err(KeyError::Damaged { .. })));
        let nowhere = directory.path().join("nowhere");
        let error = Keys::kept_in(&nowhere).unwrap_err().to_string();
        assert!(error.contains("SHOP_INTERNAL_KEY"), "{error}");
    }
}
