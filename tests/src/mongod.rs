//! A `mongod` on a free loopback port with a folder of its own, which ends with whoever started it.

use anyhow::Context;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Starts `mongod`, waits until its stdin ends (when the starter closes it or dies, in whatever way), then ends `mongod` by its pid and
/// removes its folder.
const KEEPER: &str = r#"
trap '' INT TERM
data=$(mktemp -d) || exit 1
program=$1 port=$2
shift 2
"$program" --dbpath "$data" --port "$port" --bind_ip 127.0.0.1 --wiredTigerCacheSizeGB 1 --nounixsocket "$@" &
pid=$!
# From here on mongod alone holds the log's pipe, so that its end shows.
exec >/dev/null
cat >/dev/null
exec 2>/dev/null
kill -9 "$pid"
wait "$pid"
rm -rf "$data"
"#;

/// A running `mongod`; it ends when this is dropped, or with the process.
#[derive(Debug)]
pub struct Mongod {
    port: u16,
    keeper: Child,
    lifeline: Option<ChildStdin>,
}

impl Mongod {
    /// Starts one; fetches it first where the machine has none.
    ///
    /// # Errors
    ///
    /// Fails with what to install or set.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(&[])
    }

    /// Starts one with more options.
    ///
    /// # Errors
    ///
    /// Fails as [`start`](Self::start) does.
    pub fn start_with(options: &[&str]) -> anyhow::Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/mongod.sh");
        let found = Command::new(&script).stderr(Stdio::inherit()).output().with_context(|| script.display().to_string())?;
        anyhow::ensure!(found.status.success(), "there is no mongod: see above");
        let program = String::from_utf8(found.stdout)?.trim().to_owned();
        // A free port can be taken by somebody else before mongod takes it.
        let mut started = Self::start_on(&program, free_port()?, options);
        for _ in 0..4 {
            if started.is_ok() {
                break;
            }
            started = Self::start_on(&program, free_port()?, options);
        }
        started
    }

    fn start_on(program: &str, port: u16, options: &[&str]) -> anyhow::Result<Self> {
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "mongod-keeper", program, &port.to_string()])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let lifeline = keeper.stdin.take();
        let mut log = BufReader::new(keeper.stdout.take().context("no log")?);
        let server = Self { port, keeper, lifeline };
        let (mut line, mut last) = (String::new(), String::new());
        while log.read_line(&mut line)? > 0 {
            if line.contains("Waiting for connections") {
                // The rest of the log is read so that mongod never waits for a reader.
                std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
                return Ok(server);
            }
            last = std::mem::take(&mut line);
        }
        anyhow::bail!("{program} ended before it was ready: {last}")
    }

    /// Its connection string.
    pub fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/", self.port)
    }
}

impl Drop for Mongod {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        self.keeper.wait().ok();
    }
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
