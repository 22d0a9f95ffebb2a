//! A small tree that looks like /proc and /sys/fs/cgroup.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The largest multiple of a page: what the v1 controller says for "no limit".
pub(crate) const NO_LIMIT_V1: &str = "9223372036854771712";

pub(crate) struct Tree(TempDir);

impl Tree {
    /// An empty machine that has been up for 1000 seconds.
    pub(crate) fn new() -> Self {
        let tree = Self(TempDir::new().expect("a temporary directory"));
        tree.write("proc/uptime", "1000.00 1500.00\n");
        tree
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    pub(crate) fn proc_root(&self) -> PathBuf {
        self.path("proc")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        fs::write(path, text).expect("a file");
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_dir_all(self.path(path)).expect("there was a directory");
    }

    pub(crate) fn link(&self, path: &str, target: impl AsRef<Path>) {
        symlink(target, self.path(path)).expect("a link");
    }

    /// A process with 3 MiB, of which 1 is anonymous.
    pub(crate) fn process(&self, pid: u32, start_ticks: u64, comm: &str) {
        let stat = format!(
            "{pid} ({comm}) S 1 1 1 0 -1 64 1 2 3 4 150 50 0 0 20 0 1 0 {start_ticks} 9000 12\n"
        );
        self.write(&format!("proc/{pid}/stat"), &stat);
        self.write(&format!("proc/{pid}/cmdline"), "");
        self.status(pid, 1024, 1536);
    }

    /// Anonymous and file memory in kibibytes; half a mebibyte is shared, a quarter is in swap.
    pub(crate) fn status(&self, pid: u32, anon: u64, file: u64) {
        let rss = anon + file + 512;
        let status = format!(
            "Name:\tx\nState:\tS (sleeping)\nVmPeak:\t  9999 kB\nVmRSS:\t  {rss} kB\nRssAnon:\t  {anon} kB\n\
             RssFile:\t  {file} kB\nRssShmem:\t  512 kB\nVmSwap:\t  256 kB\nThreads:\t1\n"
        );
        self.write(&format!("proc/{pid}/status"), &status);
    }

    /// Our own mounts; `{}` stands for the tree's `sys` directory.
    pub(crate) fn mounts(&self, lines: &[&str]) {
        let sys = self.path("sys").display().to_string();
        self.write("proc/self/mountinfo", &(lines.join("\n").replace("{}", &sys) + "\n"));
    }

    /// A v1 memory cgroup.
    pub(crate) fn v1(&self, path: &str, usage: &str, limit: &str, kills: u64) {
        self.write(&format!("{path}/memory.usage_in_bytes"), usage);
        self.write(&format!("{path}/memory.limit_in_bytes"), limit);
        let stat = "rss 1\nshmem 1\nswap 1\nhierarchical_memory_limit 9223372036854771712\n\
                    total_rss 700\ntotal_shmem 20\ntotal_swap 3\n";
        self.write(&format!("{path}/memory.stat"), stat);
        let control = format!("oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n");
        self.write(&format!("{path}/memory.oom_control"), &control);
    }

    /// A v2 cgroup with the memory controller on.
    pub(crate) fn v2(&self, path: &str, current: &str, max: &str, kills: u64) {
        self.write(&format!("{path}/memory.current"), current);
        self.write(&format!("{path}/memory.max"), max);
        self.write(&format!("{path}/memory.swap.current"), "5\n");
        self.write(&format!("{path}/memory.stat"), "anon 800\nfile 9\nanon_thp 7\nshmem 40\n");
        let events = format!("low 0\nhigh 0\nmax 8\noom 9\noom_kill {kills}\noom_group_kill 0\n");
        self.write(&format!("{path}/memory.events"), &events);
    }
}
