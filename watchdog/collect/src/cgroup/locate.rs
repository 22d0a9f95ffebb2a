//! Where the memory cgroup of a process can be read from here.
//!
//! `/proc/PID/cgroup` gives its path and the mount table the directory on which that hierarchy is
//! mounted, both as seen from the reader's cgroup namespace (cgroup_namespaces(7)): a cgroup outside of it
//! starts with `/..`. Our own mounts are tried first, then those of the process through its root.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use super::{CgroupReader, Version};
use crate::CollectError;
use crate::text::{lines, number, read_table};

/// Which memory cgroup a process belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) version: Version,
    pub(crate) path: String,
}

/// One mount of a cgroup hierarchy.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    version: Version,
    /// The cgroup that is mounted.
    root: PathBuf,
    /// The directory it is mounted on.
    point: PathBuf,
}

pub(super) fn find(proc_root: &Path, pid: u32) -> Result<CgroupReader, CollectError> {
    let member = membership(proc_root, pid)?;
    let process = proc_root.join(pid.to_string());
    let views = [
        (proc_root.join("self/mountinfo"), PathBuf::from("/")),
        (process.join("mountinfo"), process.join("root")),
    ];
    let mut reason = format!("no mount shows {}", member.path);
    for (table, root) in views {
        let mounts = match read_table(&table) {
            Ok(bytes) => mounts(&table, &bytes)?,
            Err(error) => {
                reason = CollectError::io(&table, error).to_string();
                continue;
            }
        };
        for mount in mounts.iter().filter(|mount| mount.version == member.version) {
            let Some(rest) = below(Path::new(&member.path), &mount.root) else { continue };
            let top = root.join(mount.point.strip_prefix("/").unwrap_or(&mount.point));
            match open(&member, &top, &rest) {
                Ok(reader) => return Ok(reader),
                Err(error) => reason = error,
            }
        }
    }
    Err(CollectError::NoCgroup { pid, reason })
}

/// Opens the cgroup, or on v2 the nearest above it for which the memory controller is on: that one is
/// charged.
fn open(member: &Membership, top: &Path, rest: &Path) -> Result<CgroupReader, String> {
    let leaf = top.join(rest);
    // `Path::join` leaves a slash behind where `rest` is empty.
    let leaf: PathBuf = leaf.components().collect();
    if let Err(error) = std::fs::metadata(&leaf) {
        return Err(CollectError::io(&leaf, error).to_string());
    }
    let usage = member.version.usage_file();
    let mut path = PathBuf::from(&member.path);
    for directory in leaf.ancestors().take_while(|directory| directory.starts_with(top)) {
        if directory.join(usage).exists() {
            return CgroupReader::open(member.version, path, directory, top)
                .map_err(|error| error.to_string());
        }
        path.pop();
    }
    Err(format!(
        "no {usage} in {} or above: the memory controller is off, or it is the root",
        leaf.display()
    ))
}

/// The way from a mounted cgroup down to `path`, if it is below it.
fn below(path: &Path, root: &Path) -> Option<PathBuf> {
    let rest = path.strip_prefix(root).ok()?;
    rest.components().all(|part| matches!(part, Component::Normal(_))).then(|| rest.to_path_buf())
}

/// The memory cgroup as `/proc/PID/cgroup` has it: lines `id:controllers:path`; v2 has id 0 and no
/// controllers, and holds the memory where no line of v1 does.
pub(crate) fn membership(proc_root: &Path, pid: u32) -> Result<Membership, CollectError> {
    let path = proc_root.join(pid.to_string()).join("cgroup");
    let bytes = read_table(&path).map_err(|error| CollectError::of_process(pid, &path, error))?;
    let mut unified = None;
    for (line, text) in lines(&bytes).filter(|(_, text)| !text.is_empty()) {
        let malformed = |item| CollectError::malformed(&path, line, item, text);
        let mut parts = text.splitn(3, |byte| *byte == b':');
        let id = number(&path, line, "hierarchy", parts.next().unwrap_or_default())?;
        let controllers = parts.next().ok_or_else(|| malformed("controllers"))?;
        let place = parts.next().filter(|place| place.starts_with(b"/"));
        let place = String::from_utf8_lossy(place.ok_or_else(|| malformed("path"))?);
        if controllers.split(|byte| *byte == b',').any(|name| name == b"memory") {
            return Ok(Membership { version: Version::V1, path: place.into_owned() });
        }
        if id == 0 && controllers.is_empty() {
            unified = Some(Membership { version: Version::V2, path: place.into_owned() });
        }
    }
    let reason = || format!("{} names neither v2 nor a memory controller", path.display());
    unified.ok_or_else(|| CollectError::NoCgroup { pid, reason: reason() })
}

/// The mounts of a hierarchy that may account memory (proc_pid_mountinfo(5)):
/// `id parent major:minor root point options [tags…] - type source super-options`.
fn mounts(path: &Path, bytes: &[u8]) -> Result<Vec<Mount>, CollectError> {
    let mut found = Vec::new();
    for (line, text) in lines(bytes).filter(|(_, text)| !text.is_empty()) {
        let malformed = |item| CollectError::malformed(path, line, item, text);
        let fields: Vec<&[u8]> = text.split(|byte| *byte == b' ').collect();
        let dash = fields.iter().position(|field| *field == b"-");
        let dash = dash.filter(|dash| *dash >= 6).ok_or_else(|| malformed("separator"))?;
        let kind = *fields.get(dash + 1).ok_or_else(|| malformed("file system type"))?;
        let options = fields.get(dash + 3).copied().unwrap_or_default();
        let version = match kind {
            b"cgroup2" => Version::V2,
            b"cgroup" if options.split(|byte| *byte == b',').any(|name| name == b"memory") => {
                Version::V1
            }
            _ => continue,
        };
        found.push(Mount { version, root: unescape(fields[3]), point: unescape(fields[4]) });
    }
    Ok(found)
}

/// Blank, tab, newline and backslash stand as a backslash and three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_below_a_mount_is_found_through_it() {
        for (path, root, rest) in [
            ("/a/b", "/", Some("a/b")),
            ("/", "/", Some("")),
            ("/docker/x", "/docker/x", Some("")),
            ("/../x/sub", "/../x", Some("sub")),
            ("/../x", "/", None),
            ("/../..", "/..", None),
            ("/docker/xy", "/docker/x", None),
        ] {
            let found = below(Path::new(path), Path::new(root));
            assert_eq!(found, rest.map(PathBuf::from), "{path} under {root}");
        }
    }

    #[test]
    fn the_mount_table_gives_the_memory_controller_and_the_unified_hierarchy() {
        let table = b"24 1 0:5 / /proc rw - proc proc rw\n\
            30 1 0:9 /x /my\\040cgroups/memory rw,nosuid shared:9 - cgroup cgroup rw,memory\n\
            31 1 0:8 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
            32 1 0:7 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let found = mounts(Path::new("/proc/self/mountinfo"), table).expect("parses");
        let mount = |version, root: &str, point: &str| Mount {
            version,
            root: root.into(),
            point: point.into(),
        };
        let v1 = mount(Version::V1, "/x", "/my cgroups/memory");
        let v2 = mount(Version::V2, "/", "/sys/fs/cgroup/unified");
        assert_eq!(found, [v1, v2]);
    }

    #[test]
    fn a_broken_mount_line_is_named() {
        let error = mounts(Path::new("/proc/self/mountinfo"), b"1 2 3\n").expect_err("broken");
        let text = error.to_string();
        assert!(text.contains("/proc/self/mountinfo line 1: separator"), "{text}");
    }
}
