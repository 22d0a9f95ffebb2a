//! Files that may be opened for names: programs and libraries by their path, debug information by build id or link.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::OFlags;

use super::cache::is_build_id;
use super::elf::Elf;
use super::image::Image;

/// What the kernel puts behind the path of a file that is no longer at it.
pub(super) const DELETED: &str = " (deleted)";

/// Opening a pipe waits for nobody, open(2).
const WITHOUT_WAITING: OFlags = OFlags::NONBLOCK;

pub(super) fn unmarked(path: &str) -> &str {
    path.strip_suffix(DELETED).unwrap_or(path)
}

/// The name by which people know a file.
pub(super) fn module(path: &str) -> &str {
    let path = unmarked(path);
    path.rsplit('/').next().unwrap_or(path)
}

/// Two build ids that do not speak against each other.
pub(super) fn agree(one: Option<&str>, other: Option<&str>) -> bool {
    one.zip(other).is_none_or(|(one, other)| one == other)
}

/// The build id of a program's file.
pub(super) fn build_id(file: &File) -> Option<String> {
    Elf::parse(Image::open(file).ok()?.bytes())?.build_id
}

/// A regular file below `root`. The path comes out of a process or a profile: it must not lead elsewhere, nor to a pipe
/// or a device, and a file that was deleted has none – another may stand at its path.
pub(super) fn open_inside(root: &Path, path: &str) -> Option<File> {
    let inside = Path::new(path).strip_prefix("/").ok()?;
    if path.ends_with(DELETED) || inside.components().any(|part| part == Component::ParentDir) {
        return None;
    }
    open_regular(&root.join(inside))
}

fn open_regular(path: &Path) -> Option<File> {
    let file = File::options()
        .read(true)
        .custom_flags(WITHOUT_WAITING.bits().cast_signed())
        .open(path)
        .ok()?;
    file.metadata().is_ok_and(|meta| meta.is_file()).then_some(file)
}

/// The file of debug information of a build, in directories as debuggers and distributions lay them out:
/// `.build-id/ab/cdef.debug` or `ab/cdef.debug`, else the name that the program's `.gnu_debuglink` gives.
pub(super) fn find_debug(
    dirs: &[PathBuf],
    build_id: Option<&str>,
    binary: Option<&Elf<'_>>,
) -> Option<Image> {
    let by_id = build_id.filter(|id| is_build_id(id)).and_then(|id| {
        let name = PathBuf::from(id.get(..2)?).join(format!("{}.debug", id.get(2..)?));
        let places =
            dirs.iter().flat_map(|dir| [dir.join(".build-id").join(&name), dir.join(&name)]);
        places.filter_map(|place| open_image(&place)).find(|image| has_build_id(image, id))
    });
    by_id.or_else(|| {
        let (name, checksum) = binary?.debug_link()?;
        let name = Path::new(OsStr::from_bytes(name));
        if name.components().ne([Component::Normal(name.as_os_str())]) {
            return None;
        }
        dirs.iter().filter_map(|dir| open_image(&dir.join(name))).find(|image| match build_id {
            Some(id) => has_build_id(image, id),
            None => crc32fast::hash(image.bytes()) == checksum,
        })
    })
}

fn open_image(path: &Path) -> Option<Image> {
    Image::open(&open_regular(path)?).ok()
}

fn has_build_id(image: &Image, id: &str) -> bool {
    Elf::parse(image.bytes()).is_some_and(|elf| elf.build_id.as_deref() == Some(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_file_names_without_the_deleted_mark() {
        assert_eq!(module("/usr/lib/libc.so.6"), "libc.so.6");
        assert_eq!(module("/opt/shop (deleted)"), "shop");
    }

    #[test]
    fn paths_that_lead_elsewhere_are_not_opened() {
        let own = std::env::current_exe().expect("a program").display().to_string();
        assert!(open_inside(Path::new("/"), &own).is_some());
        for path in [
            format!("/proc/..{own}"),
            format!("{own}{DELETED}"),
            own.trim_start_matches('/').to_owned(),
            "/dev/zero".to_owned(),
            "/proc".to_owned(),
            String::new(),
        ] {
            assert!(open_inside(Path::new("/"), &path).is_none(), "{path}");
        }
    }

    #[test]
    fn build_ids_speak_against_each_other_only_when_both_are_known() {
        assert!(agree(None, Some("ab")) && agree(Some("ab"), Some("ab")));
        assert!(!agree(Some("ab"), Some("cd")));
    }
}
