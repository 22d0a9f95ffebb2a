//! What must be true of the guest's account: each is one check.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::console::Console;

/// `init.sh` sets it.
const LIMIT: u64 = 96 << 20;
/// Where its fault `unbounded-cache` keeps memory.
const CULPRIT: &str = "services_recommendations::cache::remember";
/// How a shell tells that SIGKILL ended a program.
const KILLED: &str = "137";

type Check = (&'static str, fn(&Console) -> Result<()>);

const CHECKS: [Check; 7] = [
    ("the guest waits for nothing in vain", nothing_in_vain),
    ("memory is accounted by v2 alone", accounted_by_v2),
    ("the limit is read from the cgroup", limit_from_the_cgroup),
    ("the kernel kills the service", kernel_killed),
    ("Slack has the report, with the function, before the kill", report_before_the_kill),
    ("the incident names the kill's evidence", evidence),
    ("the incident names the leak and its function", leak_and_function),
];

/// Holds the account against each.
pub(super) fn verdicts(console: &Console) -> Vec<(&'static str, Result<()>)> {
    CHECKS.iter().map(|(name, check)| (*name, check(console))).collect()
}

fn nothing_in_vain(console: &Console) -> Result<()> {
    if let Some(what) = console.all("in-vain").next() {
        bail!("the guest {what}");
    }
    console.one("done").map(drop)
}

fn accounted_by_v2(console: &Console) -> Result<()> {
    let mounts: Vec<_> = console.all("mount").collect();
    let [mount] = mounts[..] else { bail!("not one cgroup mount: {mounts:?}") };
    ensure!(mount.split(' ').nth(2) == Some("cgroup2"), "not cgroup v2: {mount}");
    // A controller is in one hierarchy: here means in no other.
    let controllers = console.one("controllers")?;
    ensure!(controllers.split(' ').any(|name| name == "memory"), "no memory in: {controllers}");
    Ok(())
}

fn limit_from_the_cgroup(console: &Console) -> Result<()> {
    let targets = console.json("target")?;
    let target = &targets["targets"][0];
    let read = (&target["limit"], &target["limit_source"]);
    ensure!(read == (&LIMIT.into(), &"cgroup".into()), "limit and source are {read:?}");
    Ok(())
}

fn kernel_killed(console: &Console) -> Result<()> {
    let exit = console.one("service-exit")?;
    ensure!(exit == KILLED, "the service ended with {exit}");
    let kills = (oom_kills(console, "events-before")?, oom_kills(console, "events-after")?);
    ensure!(kills == ("0", "1"), "oom_kill before and after: {kills:?}");
    Ok(())
}

fn oom_kills<'a>(console: &'a Console, when: &str) -> Result<&'a str> {
    let mut words = console.one(when)?.split(' ');
    words.find(|word| *word == "oom_kill").and_then(|_| words.next()).context("no oom_kill")
}

fn report_before_the_kill(console: &Console) -> Result<()> {
    // The guest's clock tells whole seconds: what came before this second came before the kill.
    let (began, killed) = (console.number("leak-began")?, console.number("killed-at")?);
    let closed = told(console)?["closed"].as_f64().context("the incident is not closed")?;
    for line in console.all("slack") {
        let message: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let Some(at) = message["at_unix"].as_f64() else { continue };
        ensure!(at >= began, "a report before the leak: {line}");
        if at < killed.min(closed) && line.contains(CULPRIT) {
            println!(
                "reported {:.0} s after the leak began, {:.0} s before the kill",
                at - began,
                closed - at
            );
            return Ok(());
        }
    }
    bail!("no message before the kill at {killed} names {CULPRIT}")
}

fn evidence(console: &Console) -> Result<()> {
    let incident = told(console)?;
    ensure!(incident["state"] == "killed", "the state is {}", incident["state"]);
    let words = incident["evidence"].as_str().context("no evidence")?;
    let counted = "memory.events oom_kill went from 0 to 1";
    ensure!(words.contains(counted), "the evidence is: {words}");
    Ok(())
}

fn leak_and_function(console: &Console) -> Result<()> {
    let incident = told(console)?;
    let verdict = &incident["verdict"];
    ensure!(verdict["kind"] == "heap-leak", "the verdict is {verdict}");
    let function = incident.pointer("/culprit/frame/function").and_then(Value::as_str);
    ensure!(function == Some(CULPRIT), "the function is {function:?}");
    Ok(())
}

/// The one incident that people were told of.
fn told(console: &Console) -> Result<Value> {
    let mut incidents = console.json("incidents")?;
    let list = incidents["incidents"].as_array_mut().context("no list of incidents")?;
    list.retain(|incident| !incident["told"].is_null());
    ensure!(list.len() == 1, "{} incidents were told, not one", list.len());
    list.pop().context("no incident")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
@@mount cgroup2 /sys/fs/cgroup cgroup2 rw,relatime 0 0
@@controllers cpuset cpu io memory pids
@@target {"targets":[{"limit":100663296,"limit_source":"cgroup"}]}
@@events-before low 0 oom 0 oom_kill 0 oom_group_kill 0
@@leak-began 1000
@@service-exit 137
@@killed-at 1040
@@events-after low 0 oom 1 oom_kill 1 oom_group_kill 0
@@slack {"event":"listening","url":"http://127.0.0.1:9912"}
@@slack {"event":"post","at_unix":1012.5,"text":"culprit services_recommendations::cache::remember"}
@@slack {"event":"update","at_unix":1040.3,"text":"killed, services_recommendations::cache::remember"}
@@incidents {"incidents":[{"told":null},{"told":1012.4,"closed":1040.2,"state":"killed","verdict":{"kind":"heap-leak"},"culprit":{"frame":{"function":"services_recommendations::cache::remember"}},"evidence":"memory.events oom_kill went from 0 to 1 in /oomen/shop; last seen 95 MiB"}]}
@@done
"#;

    /// Changes that make the named check fail.
    const BROKEN: [(&str, &str, &str); 15] = [
        ("in vain", "@@done", "@@in-vain waited for ready"),
        ("in vain", "@@done", "reboot: Power down"),
        ("v2 alone", "cgroup cgroup2 rw", "cgroup cgroup rw"),
        ("v2 alone", "@@controllers", "@@mount cgroup /x cgroup rw,memory 0 0\n@@controllers"),
        ("v2 alone", "io memory pids", "io pids"),
        ("the limit", "100663296", "268435456"),
        ("the limit", r#""limit_source":"cgroup""#, r#""limit_source":"flag""#),
        ("the kernel kills", "exit 137", "exit 143"),
        ("the kernel kills", "oom 1 oom_kill 1", "oom 1 oom_kill 0"),
        ("Slack", "1012.5", "1040.1"),
        ("Slack", r#"1012.5,"text":"culprit services_recommendations::"#, r#"1012.5,"text":""#),
        ("Slack", "1012.5", "999.5"),
        ("evidence", r#""state":"killed""#, r#""state":"gone""#),
        ("evidence", "memory.events oom_kill went from 0 to 1", "probably killed"),
        (
            "its function",
            r#"function":"services_recommendations::cache::remember"#,
            r#"function":"main"#,
        ),
    ];

    fn failing(text: &str) -> Vec<&'static str> {
        let verdicts = verdicts(&Console::parse(text));
        verdicts.into_iter().filter(|(_, verdict)| verdict.is_err()).map(|(name, _)| name).collect()
    }

    #[test]
    fn a_good_account_passes_every_check() {
        assert_eq!(failing(GOOD), <[&str; 0]>::default());
    }

    #[test]
    fn each_check_fails_by_its_own_flaw_and_no_other_does() {
        for (check, good, bad) in BROKEN {
            let text = GOOD.replacen(good, bad, 1);
            assert_ne!(text, GOOD, "{good}");
            let failing = failing(&text);
            assert!(failing.len() == 1 && failing[0].contains(check), "{bad}: {failing:?}");
        }
    }

    #[test]
    fn a_guest_that_said_nothing_fails_every_check() {
        assert_eq!(failing("[    2.9] Kernel panic - not syncing").len(), CHECKS.len());
    }
}
