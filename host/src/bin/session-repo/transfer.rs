//! `session-repo export` and `import`.

use crate::failure::failed;
use crate::output::{self, progress};
use crate::place::{Opened, Place};
use crate::terminal::{note, one_line, tell};
use anyhow::{Context, anyhow, bail};
use session_repository::Dumped;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What stands for stdin and stdout.
const STANDARD: &str = "-";

/// The file that an argument names, if it names one.
fn named(file: Option<PathBuf>) -> anyhow::Result<Option<PathBuf>> {
    // A connection string in the wrong place may hold a password, so it is not repeated.
    if file.as_ref().is_some_and(|file| file.to_string_lossy().contains("://")) {
        bail!("the file is a URL; a store is named by --store");
    }
    Ok(file.filter(|file| file.as_os_str() != STANDARD))
}

/// Dumps the store to a file or to stdout.
pub(crate) async fn export(place: &Place, file: Option<PathBuf>, resume: bool) -> anyhow::Result<()> {
    let file = named(file)?;
    match &file {
        None if resume => bail!("--resume needs the file that is to be completed"),
        Some(path) if !resume && path.exists() => return Err(exists_already(path)),
        _ => {}
    }
    // Only when the store is open is a file made.
    let store = place.open_existing().await?;
    let done = match file.map(|path| Target::open(path, resume)).transpose() {
        Ok(target) => write(&store, target).await,
        Err(error) => Err(error),
    };
    store.close().await;
    done
}

fn exists_already(path: &Path) -> anyhow::Error {
    anyhow!("{} exists already: name another file, or complete this one with --resume", path.display())
}

async fn write(store: &Opened, target: Option<Target>) -> anyhow::Result<()> {
    let bar = progress("{spinner} {pos} of {len} sessions {wide_bar} {eta}");
    if !bar.is_hidden() {
        bar.set_length(count(store).await?);
    }
    let (mut out, name, after, file): (Box<dyn Write + Send>, _, _, _) = match target {
        Some(Target { file, path, after }) => {
            (Box::new(BufWriter::with_capacity(1 << 20, file.try_clone()?)), path.display().to_string(), after, Some((file, path)))
        }
        None => (Box::new(BufWriter::with_capacity(1 << 16, io::stdout())), String::from("stdout"), None, None),
    };
    let mut dump = store.store.export(after.clone());
    let (mut sessions, mut skipped) = (0u64, 0u64);
    while let Some(piece) = dump.recv().await {
        match piece.map_err(|error| failed(&error)).with_context(|| format!("the export stopped after {sessions} sessions"))? {
            // Also for a reader that went away: nobody is to take a part for the whole.
            Dumped::Text(text) => out.write_all(text.as_bytes()).with_context(|| name.clone())?,
            Dumped::Session(_) => {
                sessions += 1;
                bar.inc(1);
            }
            Dumped::Skipped { session_id, why } => {
                skipped += 1;
                bar.suspend(|| tell(&format!("session {session_id:?} is left out: {why}")));
            }
            _ => {}
        }
    }
    out.flush().with_context(|| name.clone())?;
    if let Some((file, _)) = &file {
        file.sync_all().context(name.clone())?;
    }
    bar.finish_and_clear();
    let more = if after.is_some() { "more " } else { "" };
    let plural = if sessions == 1 { "" } else { "s" };
    let counts = format!("exported {sessions} {more}session{plural} to {name}");
    if skipped > 0 {
        bail!("{}, {skipped} left out: not complete", one_line(&counts));
    }
    // What an earlier run left out is in front of where this one began.
    if let Some((_, path)) = file.filter(|_| after.is_some()) {
        let (there, stored) = (lines(&path).with_context(|| name.clone())?, count(store).await?);
        if there < stored {
            bail!("{}, which has {there} sessions now; the store has {stored}: not complete, so export it anew", one_line(&counts));
        }
    }
    note(&format!("{counts}: complete"));
    Ok(())
}

/// How many sessions a store has.
async fn count(store: &Opened) -> anyhow::Result<u64> {
    store.store.count_sessions().await.map_err(|error| failed(&error))
}

/// How many lines a file has.
fn lines(path: &Path) -> io::Result<u64> {
    let (mut file, mut lines) = (BufReader::with_capacity(1 << 20, File::open(path)?), 0);
    loop {
        let read = file.fill_buf()?;
        if read.is_empty() {
            return Ok(lines);
        }
        lines += read.iter().filter(|byte| **byte == b'\n').count() as u64;
        let length = read.len();
        file.consume(length);
    }
}

/// A file to write to.
struct Target {
    file: File,
    path: PathBuf,
    /// The last session that is in it already.
    after: Option<String>,
}

impl Target {
    fn open(path: PathBuf, resume: bool) -> anyhow::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        // Conversations are their owner's business.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let opened = if resume { options.create(true).truncate(false) } else { options.create_new(true) }.open(&path);
        let mut file = match opened {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(exists_already(&path)),
            opened => opened.with_context(|| path.display().to_string())?,
        };
        let after = if resume { last_session(&mut file).with_context(|| path.display().to_string())? } else { None };
        Ok(Self { file, path, after })
    }
}

/// Cuts off a line that was not completed; the id of the last session before it. Leaves a file alone that export did not write.
fn last_session(file: &mut File) -> anyhow::Result<Option<String>> {
    let length = file.metadata()?.len();
    let end = line_end_before(file, length)?;
    // The line that was not completed begins as every line does, as far as it goes.
    let tail = head(file, end)?;
    let begins_alike = tail.iter().zip(LINE_START).all(|(byte, expected)| byte == expected);
    let ends_alike = head(file, end.saturating_sub(2))?.starts_with(b"}\n");
    let last = if end == 0 { None } else { Some(line_end_before(file, end - 1)?) };
    let id = match last {
        Some(begin) => {
            let head = head(file, begin)?;
            head.strip_prefix(LINE_START).and_then(|id| serde_json::Deserializer::from_slice(id).into_iter::<String>().next()?.ok())
        }
        None => None,
    };
    if !begins_alike || last.is_some() && (id.is_none() || !ends_alike) {
        bail!("this is no file that export wrote");
    }
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    Ok(id)
}

/// How every line begins.
const LINE_START: &[u8] = br#"{"_id":"#;

/// What stands at a place. An id has 512 bytes at most, or six times as many where each is escaped.
fn head(file: &mut File, place: u64) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.seek(SeekFrom::Start(place))?;
    file.take(8192).read_to_end(&mut head)?;
    Ok(head)
}

/// Where the last line that ends before a place ends.
fn line_end_before(file: &mut File, place: u64) -> io::Result<u64> {
    const BLOCK: u64 = 64 * 1024;
    let mut end = place;
    while end > 0 {
        let begin = end.saturating_sub(BLOCK);
        let mut block = Vec::new();
        file.seek(SeekFrom::Start(begin))?;
        Read::by_ref(file).take(end - begin).read_to_end(&mut block)?;
        if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

/// Stores the sessions of a dump.
pub(crate) async fn import(place: &Place, file: Option<PathBuf>) -> anyhow::Result<()> {
    let file = named(file)?;
    let (input, bytes): (Box<dyn Read + Send>, _) = match &file {
        Some(path) => {
            let file = File::open(path).with_context(|| path.display().to_string())?;
            let bytes = file.metadata()?.len();
            (Box::new(file), Some(bytes))
        }
        None => (Box::new(io::stdin()), None),
    };
    let store = place.open().await?;
    let done = read(&store, input, bytes, file.as_deref()).await;
    store.close().await;
    done
}

async fn read(store: &Opened, input: Box<dyn Read + Send>, bytes: Option<u64>, file: Option<&Path>) -> anyhow::Result<()> {
    let bar = match bytes {
        Some(bytes) => {
            let bar = progress("{spinner} {bytes} of {total_bytes} {wide_bar} {eta}");
            bar.set_length(bytes);
            bar
        }
        None => progress("{spinner} {bytes} read"),
    };
    let input = BufReader::with_capacity(1 << 20, bar.wrap_read(input));
    let imported = store.store.import(input).await;
    bar.finish_and_clear();
    let name = file.map_or_else(|| String::from("stdin"), |file| file.display().to_string());
    let imported =
        imported.map_err(|error| failed(&error)).with_context(|| format!("the import of {name} stopped; do it again to go on"))?;
    for complaint in &imported.complaints {
        tell(complaint);
    }
    let more = (imported.different + imported.refused).saturating_sub(imported.complaints.len() as u64);
    if more > 0 {
        tell(&format!("and {more} more"));
    }
    let counts = format!("imported from {}: {} new, {} there already", one_line(&name), imported.new, imported.same);
    if imported.is_complete() {
        return output::print(&format!("{counts}: complete"));
    }
    bail!("{counts}, {} different, {} refused: not complete", imported.different, imported.refused)
}
