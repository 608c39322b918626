//! The log, on standard error. Its levels and the names of its fields are in CONTRIBUTING.md.

mod limits;

use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;
use std::time::Instant;

use hikyaku_config::{Level, Log, LogFormat};
use hikyaku_schema::output::{plain, plain_but_colours};
use tracing::level_filters::LevelFilter;
use tracing::{Subscriber, debug, warn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use limits::Limits;

/// Of the one log that a process has.
static LIMITS: LazyLock<Limits> = LazyLock::new(Limits::default);

/// Logs how many lines were left out. To be called now and then.
pub fn tell_left_out() {
    for left_out in LIMITS.left_out(Instant::now()) {
        let seconds = left_out.time.as_secs();
        warn!(lines = left_out.lines, seconds, like = %left_out.like, "lines were left out, as there were too many of a kind");
    }
}

fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    }
}

/// From here on, what is logged goes to standard error; in colours if that is a terminal. To be called once; a second
/// call changes nothing.
pub fn start(log: &Log) -> LevelDial {
    let (level, dial) = reload::Layer::new(filter(log.level));
    let lines = lines(log.format, std::io::stderr().is_terminal(), std::io::stderr).with_filter(&*LIMITS);
    if let Err(error) = tracing_subscriber::registry().with(level).with(lines).try_init() {
        debug!(%error, "the log is already set up");
    }
    LevelDial(dial)
}

/// Writes lines: the sentence first, then the fields.
fn lines<S, W>(format: LogFormat, colours: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // Who reads the log may have gone: the layer would say so on standard error, by a macro that panics there.
    let lines = fmt::layer().with_target(false).with_ansi(colours).log_internal_errors(false);
    let lines = lines.with_writer(Plain { writer, colours });
    match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Bare => lines.without_time().boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    }
}

/// Writes lines without what steers a terminal: they have names of others in them.
struct Plain<W> {
    writer: W,
    colours: bool,
}

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Plain<W> {
    type Writer = Plain<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Plain { writer: self.writer.make_writer(), colours: self.colours }
    }
}

impl<W: Write> Write for Plain<W> {
    /// A whole line, as the layer writes it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let plain = if self.colours { plain_but_colours(&text) } else { plain(&text) };
        self.writer.write_all(plain.as_bytes()).map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Sets the level of a log that was started.
#[derive(Clone, Debug)]
pub struct LevelDial(reload::Handle<LevelFilter, Registry>);

impl LevelDial {
    /// The least that is said from now on.
    pub fn set(&self, level: Level) {
        if let Err(error) = self.0.reload(filter(level)) {
            warn!(%error, "the log's level stays as it is");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    use super::*;

    /// A line of the log in this format.
    fn line(format: LogFormat) -> String {
        let (writer, reader) = UnixStream::pair().unwrap();
        let log = tracing_subscriber::registry().with(lines(format, false, Arc::new(writer)));
        let address = std::net::Ipv4Addr::LOCALHOST;
        tracing::subscriber::with_default(log, || warn!(machine = "aftr", %address, mtu = 1500, "it is \"ours\""));
        std::io::read_to_string(reader).unwrap()
    }

    #[test]
    fn a_line_says_what_happened_and_then_its_fields() {
        let bare = " WARN it is \"ours\" machine=\"aftr\" address=127.0.0.1 mtu=1500\n";
        assert_eq!(line(LogFormat::Bare), bare);
        let text = line(LogFormat::Text);
        assert!(text.starts_with("20") && text.ends_with(&format!("Z {bare}")), "{text}");
    }

    #[test]
    fn names_of_others_steer_no_terminal() {
        for format in [LogFormat::Bare, LogFormat::Json] {
            let (writer, reader) = UnixStream::pair().unwrap();
            let log = tracing_subscriber::registry().with(lines(format, false, Arc::new(writer)));
            tracing::subscriber::with_default(
                log,
                || warn!(station = %"a\u{202e}b\u{9b}c", "{}", "printer\u{1b}[2J\u{2066}"),
            );
            let line = std::io::read_to_string(reader).unwrap();
            assert!(!line.trim_end().contains(hikyaku_schema::output::is_unseen), "{line:?}");
            assert!(line.contains("\\u202e") && line.contains("printer"), "{line}");
            if format == LogFormat::Json {
                let line: serde_json::Value = serde_json::from_str(&line).unwrap();
                assert_eq!(line["station"], "a\u{202e}b\u{9b}c", "it means the same");
            }
        }
    }

    /// A storm of router advertisements: twenty lines, and what else happens is still told.
    #[test]
    fn a_storm_does_not_flood_the_log() {
        let limits: &'static Limits = Box::leak(Box::default());
        let (writer, reader) = UnixStream::pair().unwrap();
        let lines = lines(LogFormat::Bare, false, Arc::new(writer)).with_filter(limits);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            for n in 0..10_000 {
                let event = format!("prefix 2001:db8:{n:x}::/64 is new");
                warn!(machine = "slaac", "{event}");
            }
            warn!("the WAN link is down");
            (0..30).for_each(|n| warn!(problem = n, "the configuration is refused"));
        });
        let text = std::io::read_to_string(reader).unwrap();
        let count = |what: &str| text.lines().filter(|line| line.contains(what)).count();
        assert_eq!((count("is new"), count("link is down"), count("is refused")), (20, 1, 30), "{text}");
        let told = limits.left_out(Instant::now() + std::time::Duration::from_secs(6));
        assert_eq!((told[0].lines, told[0].like.as_str()), (9980, "prefix 2001:db8:270f::/64 is new"));
    }

    #[test]
    fn in_json_fields_stand_beside_the_sentence() {
        let line: serde_json::Value = serde_json::from_str(&line(LogFormat::Json)).unwrap();
        assert!(line["timestamp"].is_string());
        for (key, value) in
            [("level", "WARN"), ("message", "it is \"ours\""), ("machine", "aftr"), ("address", "127.0.0.1")]
        {
            assert_eq!(line[key], value);
        }
        assert_eq!(line["mtu"], 1500);
    }

    /// What stands between the parentheses of each `tracing::…!(…)`.
    fn log_lines(source: &str) -> impl Iterator<Item = &str> {
        source.split("tracing::").skip(1).filter_map(|text| {
            let arguments = text.split_once("!(")?.1;
            let mut depth = 1;
            let end = arguments.char_indices().find_map(|(at, c)| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                (depth == 0).then_some(at)
            });
            Some(&arguments[..end?])
        })
    }

    /// Every field of the program's lines has a row in CONTRIBUTING.md.
    #[test]
    fn fields_have_names_that_are_written_down() {
        let top = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let table = std::fs::read_to_string(top.join("../CONTRIBUTING.md")).unwrap();
        let (mut folders, mut lines) = (vec![top.join("src")], 0);
        while let Some(folder) = folders.pop() {
            for path in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let source = std::fs::read_to_string(path).unwrap();
                for line in log_lines(&source) {
                    lines += 1;
                    for field in line.split(',').map(|part| part.split(" = ").next().unwrap().trim()) {
                        let name = field.trim_start_matches('%');
                        let is_name = name.chars().all(|c| c.is_ascii_lowercase() || "_4".contains(c));
                        assert!(name.is_empty() || !is_name || table.contains(&format!("`{name}`")), "{name}: {line}");
                    }
                }
            }
        }
        assert!(lines > 40, "{lines}");
    }
}
