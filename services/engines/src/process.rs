//! A server process with all its children, killed together; also when we are killed ourselves.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

/// Runs the program in the shell's own process group and kills that group when standard input ends: the kernel closes
/// it when the holder of the other end dies, however it dies.
const KEEPER: &str =
    r#"exec 3<&0; "$@" 3<&- </dev/null & p=$!; { read -r _ <&3; kill -KILL -- -$$; } & wait $p"#;

/// A program to run.
pub(crate) struct Program {
    pub(crate) words: Vec<OsString>,
    pub(crate) environment: Vec<(&'static str, OsString)>,
    /// User and group to run as, when it must not be root.
    pub(crate) user: Option<(u32, u32)>,
}

pub(crate) struct Process {
    child: Child,
}

impl Process {
    pub(crate) fn spawn(program: &Program, directory: &Path, log: File) -> io::Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "keeper"]).args(&program.words).process_group(0);
        // What crashes leaves its dump there.
        command.current_dir(directory);
        command.envs(program.environment.iter().map(|(name, value)| (*name, value)));
        // A service that tests itself has its own; Erlang and Postgres would take part in it.
        command.env_remove("NOTIFY_SOCKET");
        if let Some((user, group)) = program.user {
            command.uid(user).gid(group);
        }
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        Ok(Self { child: command.spawn()? })
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It fails only when all are gone.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}
