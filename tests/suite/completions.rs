//! `session-repo completions`: scripts that the shells take.

use crate::run::{Desk, finish};
use anyhow::ensure;
use std::process::Stdio;

#[tokio::test]
async fn each_script_names_all_subcommands_and_its_shell_takes_it() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let help = finish(&mut desk.bare(&["--help"]).await?, None).await?;
    // Each on a line of its own, behind two blanks.
    let commands: Vec<String> = help
        .ok()?
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase()) && *name != "session-repo")
        .map(str::to_owned)
        .collect();
    for known in [
        "exec",
        "show",
        "export",
        "import",
        "check",
        "compact",
        "archive",
        "completions",
        "session",
        "agent",
        "message",
        "metadata",
        "feedback",
    ] {
        ensure!(commands.iter().any(|command| command == known), "{known} is not in {commands:?}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let ran = finish(&mut desk.bare(&["completions", shell]).await?, None).await?;
        let script = ran.ok()?.to_owned();
        ensure!(ran.stderr.is_empty(), "{}", ran.stderr);
        for word in commands.iter().map(String::as_str).chain([
            "--store",
            "--resume",
            "--json",
            "--follow",
            "--metadata-field",
            "--archive-after",
            "--if-revision",
            "append",
            "undo",
        ]) {
            let word = if shell == "fish" { word.trim_start_matches("--") } else { word };
            ensure!(script.contains(word), "{shell} is not told of {word}");
        }
        ensure!(!desk.path("home").exists(), "nothing is opened for it");
        let mut accepts = tokio::process::Command::new(shell);
        accepts.arg(if shell == "fish" { "--no-execute" } else { "-n" }).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        match accepts.arg(write(&desk, shell, &script)?).spawn() {
            Ok(child) => {
                let output = child.wait_with_output().await?;
                ensure!(output.status.success() && output.stderr.is_empty(), "{shell}: {}", String::from_utf8_lossy(&output.stderr));
            }
            // Not every machine has every shell.
            Err(error) => ensure!(error.kind() == std::io::ErrorKind::NotFound && shell != "bash", "{shell}: {error}"),
        }
    }
    for arguments in [&["completions"][..], &["completions", "tcsh"]] {
        assert_eq!(finish(&mut desk.bare(arguments).await?, None).await?.status, Some(2), "{arguments:?}");
    }
    Ok(())
}

#[tokio::test]
async fn bash_completes_with_the_script() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let script = finish(&mut desk.bare(&["completions", "bash"]).await?, None).await?;
    write(&desk, "bash", script.ok()?)?;
    let ask = r#"
        source ./bash
        words=$(complete -p session-repo)
        COMP_WORDS=(session-repo ex) COMP_CWORD=1
        "$(sed 's/.* -F \([^ ]*\).*/\1/' <<<"$words")" session-repo ex session-repo
        printf '%s\n' "${COMPREPLY[@]}""#;
    let output = tokio::process::Command::new("bash").args(["--norc", "-c", ask]).current_dir(desk.path("")).output().await?;
    assert_eq!((String::from_utf8(output.stdout)?.as_str(), String::from_utf8(output.stderr)?.as_str()), ("exec\nexport\n", ""));
    Ok(())
}

fn write(desk: &Desk, name: &str, script: &str) -> anyhow::Result<String> {
    std::fs::write(desk.path(name), script)?;
    Ok(desk.argument(name))
}

#[tokio::test]
async fn bash_completes_subcommands_and_options() -> anyhow::Result<()> {
    let desk = Desk::new()?;
    let script = finish(&mut desk.bare(&["completions", "bash"]).await?, None).await?.ok()?.to_owned();
    let path = write(&desk, "complete", &script)?;
    for (line, expected) in [
        ("", "show"),
        ("session ''", "create"),
        ("message ap", "append"),
        ("archive ''", "status"),
        ("exec --con", "--concurrency"),
        ("message list --lim", "--limit"),
    ] {
        let ask = format!(
            "source {}; COMP_WORDS=(session-repo {line}); [ ${{#COMP_WORDS[@]}} -gt 1 ] || COMP_WORDS+=(''); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             $(complete -p session-repo | sed 's/.*-F \\([^ ]*\\).*/\\1/') session-repo \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            path
        );
        let output = tokio::process::Command::new("bash").args(["-c", &ask]).output().await?;
        let offered = String::from_utf8(output.stdout)?;
        ensure!(offered.lines().any(|word| word == expected), "{line}: {offered} {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
