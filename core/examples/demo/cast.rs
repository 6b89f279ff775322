//! The agents' processes and the folder they share; nothing of it outlives the demo.

use std::collections::BTreeMap;
use std::io::{Read, Write, stdin};
use std::os::unix::process::CommandExt;
use std::path::{self, Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, io, process, thread};

use libchat::LocalServer;

use crate::Result;
use crate::script::Script;

/// Dropping it kills the agents, and then has the janitor clean up.
pub(crate) struct Cast {
    agents: BTreeMap<String, Child>,
    /// The commands of those agents that are not written in Rust, and what they are given to read.
    programs: BTreeMap<String, Vec<PathBuf>>,
    conversation: String,
    janitor: Child,
    folder: PathBuf,
}

impl Cast {
    /// Makes a scratch folder and starts its janitor: a process that cleans up when its standard
    /// input ends, as it does when this process ends, for whatever reason. It has a process group
    /// of its own, so that Ctrl-C passes it by.
    pub(crate) fn assemble(script: &Script, programs: &[&str]) -> Result<Cast> {
        let programs = find_programs(script, programs)?;
        let folder = tempfile::Builder::new().prefix("libchat-demo-").tempdir()?;
        let mut command = Command::new(env::current_exe()?);
        command.args(["janitor", "--folder"]).arg(folder.path());
        let janitor = command.stdin(Stdio::piped()).process_group(0).spawn()?;
        let (agents, folder) = (BTreeMap::new(), folder.keep());
        Ok(Cast { agents, programs, conversation: script.plain(), janitor, folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Those who are there.
    pub(crate) fn agents(&self) -> impl Iterator<Item = &String> {
        self.agents.keys()
    }

    pub(crate) fn start(&mut self, agent: &str) -> Result {
        let child = match self.programs.get(agent) {
            Some(program) => self.start_program(program, agent)?,
            None => {
                let mut command = Command::new(env::current_exe()?);
                command.args(["agent", agent, "--folder"]).arg(&self.folder);
                command.stdin(Stdio::piped()).spawn()?
            }
        };
        self.agents.insert(agent.to_owned(), child);
        Ok(())
    }

    /// An agent that finds the server by itself: it is that of the folder it runs in.
    fn start_program(&self, words: &[PathBuf], agent: &str) -> Result<Child> {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg(agent).current_dir(&self.folder).stdin(Stdio::piped());
        for variable in ["LIBCHAT_URL", "NATS_URL", "NATS_CONTEXT"] {
            command.env_remove(variable);
        }
        let mut child = command.spawn()?;
        // It stays open: its end is ours.
        child.stdin.as_mut().expect("it is piped").write_all(self.conversation.as_bytes())?;
        Ok(child)
    }

    /// Ends `agent` by SIGKILL.
    pub(crate) fn kill(&mut self, agent: &str) -> Result {
        let mut child = self.agents.remove(agent).ok_or_else(|| format!("{agent} is away"))?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Fails if an agent has ended that should be there.
    pub(crate) fn check(&mut self) -> Result {
        for (agent, child) in &mut self.agents {
            if let Some(status) = child.try_wait()?.filter(|status| !status.success()) {
                return Err(format!("{agent} has ended: {status}").into());
            }
        }
        Ok(())
    }

    /// How each agent ends by itself.
    pub(crate) fn ends(&mut self, patience: Duration) -> Result<Vec<ExitStatus>> {
        let deadline = Instant::now() + patience;
        let mut ends = Vec::new();
        for (agent, child) in &mut self.agents {
            // Not `wait`, which would close the input by which the agent knows that we live.
            let status = loop {
                match child.try_wait()? {
                    Some(status) => break status,
                    None if Instant::now() > deadline => {
                        return Err(format!("{agent} does not end").into());
                    }
                    None => thread::sleep(Duration::from_millis(5)),
                }
            };
            ends.push(status);
        }
        Ok(ends)
    }
}

impl Drop for Cast {
    fn drop(&mut self) {
        for child in self.agents.values_mut() {
            // What can fail here is that it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
        // Closes the janitor's input. What it could not do it has said itself.
        let _ = self.janitor.wait();
    }
}

/// For each agent that is not written in Rust the command of its language, from `C=PROGRAM`,
/// `Python=INTERPRETER PROGRAM` or `Go=PROGRAM`.
fn find_programs(script: &Script, given: &[&str]) -> Result<BTreeMap<String, Vec<PathBuf>>> {
    let given: BTreeMap<_, _> = given.iter().filter_map(|it| it.split_once('=')).collect();
    let mut programs = BTreeMap::new();
    for (agent, language) in &script.written_in {
        let command = given.get(language.as_str());
        let command = command.ok_or_else(|| format!("{agent} in {language}: run make demo"))?;
        let words: Result<Vec<PathBuf>> = command.split(' ').map(find_file).collect();
        programs.insert(agent.clone(), words?);
    }
    Ok(programs)
}

/// For use in any folder. Links stay: by that of its environment Python knows its packages.
fn find_file(path: &str) -> Result<PathBuf> {
    fs::metadata(path).map_err(|error| format!("{path}: {error}"))?;
    Ok(path::absolute(path)?)
}

/// The janitor: waits for the demo's end, stops the server if it still runs, removes the folder.
pub(crate) fn clean_up(folder: &Path) -> Result {
    wait_for_parent();
    LocalServer::stop(folder)?;
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Ends this process when the one that started it has ended.
pub(crate) fn end_with_parent() {
    thread::spawn(|| {
        wait_for_parent();
        process::exit(1);
    });
}

/// Our input ends with the process that holds its other end.
fn wait_for_parent() {
    // An input that cannot be read has ended, too.
    let _ = stdin().read_to_end(&mut Vec::new());
}
