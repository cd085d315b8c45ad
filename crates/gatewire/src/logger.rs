//! The log: a [`Logger`] with a context for user code, and the one-line format that everything sent through
//! `tracing` is printed in. It is a formatter, not a log system: where the application has set up a subscriber of
//! its own, nothing here is installed.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io::IsTerminal;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// A log with a context, as in NestJS: `Logger::new("EventsGateway").log("started")` prints
/// `[Gatewire] LOG [EventsGateway] started`.
///
/// Records go through `tracing` with the target `gatewire` and a field `context`. A `Logger` field of an
/// injectable struct or a gateway is injected with the struct's name as its context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logger {
    context: Cow<'static, str>,
}

impl Logger {
    /// A log for `context`, usually the name of a type.
    pub fn new(context: impl Into<Cow<'static, str>>) -> Self {
        Self {
            context: context.into(),
        }
    }

    /// What the records are marked with.
    pub fn context(&self) -> &str {
        &self.context
    }

    /// What an operator wants to read in normal running (`tracing`'s level INFO).
    pub fn log(&self, message: impl fmt::Display) {
        tracing::info!(target: "gatewire", context = %self.context, "{message}");
    }

    /// What went wrong but was dealt with (WARN).
    pub fn warn(&self, message: impl fmt::Display) {
        tracing::warn!(target: "gatewire", context = %self.context, "{message}");
    }

    /// What went wrong and was not dealt with (ERROR).
    pub fn error(&self, message: impl fmt::Display) {
        tracing::error!(target: "gatewire", context = %self.context, "{message}");
    }

    /// What helps to find a fault (DEBUG); not printed by default.
    pub fn debug(&self, message: impl fmt::Display) {
        tracing::debug!(target: "gatewire", context = %self.context, "{message}");
    }

    /// Everything (TRACE); not printed by default.
    pub fn verbose(&self, message: impl fmt::Display) {
        tracing::trace!(target: "gatewire", context = %self.context, "{message}");
    }
}

/// Prints `tracing`'s records on the standard output, one [`CompactFormat`] line each: level `info` and above
/// unless `RUST_LOG` says otherwise. Does nothing if a subscriber is set already; returns whether it was set here.
pub fn init() -> bool {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colour)
        .event_format(CompactFormat)
        .finish();
    tracing::subscriber::set_global_default(subscriber).is_ok()
}

/// `[Gatewire] LOG [EventsGateway] Client connected: q7Xz…`: level and context, then the message, then other fields as
/// `name=value`. A record without a `context` field is marked with its target. Control characters are escaped, so
/// that what a client sent cannot forge a line. Use it in a subscriber of your own with
/// `tracing_subscriber::fmt().event_format(CompactFormat)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct CompactFormat;

impl<S, N> FormatEvent<S, N> for CompactFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut record = Record::default();
        event.record(&mut record);
        let metadata = event.metadata();
        let context = record.context.as_deref().unwrap_or_else(|| metadata.target());
        let (name, colour) = level(*metadata.level());
        if writer.has_ansi_escapes() {
            write!(
                writer,
                "{colour}[Gatewire] {name}\x1b[0m \x1b[33m[{context}]\x1b[0m {colour}{}\x1b[0m",
                record.message
            )?;
            if !record.fields.is_empty() {
                write!(writer, "\x1b[2m{}\x1b[0m", record.fields)?;
            }
            writeln!(writer)
        } else {
            writeln!(
                writer,
                "[Gatewire] {name} [{context}] {}{}",
                record.message, record.fields
            )
        }
    }
}

/// NestJS's names of the levels and its colours.
fn level(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::ERROR => ("ERROR", "\x1b[31m"),
        Level::WARN => ("WARN", "\x1b[33m"),
        Level::INFO => ("LOG", "\x1b[32m"),
        Level::DEBUG => ("DEBUG", "\x1b[35m"),
        Level::TRACE => ("VERBOSE", "\x1b[36m"),
    }
}

/// The parts of one record, made safe to print on one line.
#[derive(Default)]
struct Record {
    context: Option<String>,
    message: String,
    fields: String,
}

impl Record {
    fn take(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let out = match field.name() {
            "message" => &mut self.message,
            "context" => self.context.get_or_insert_default(),
            name => {
                self.fields.push(' ');
                self.fields.push_str(name);
                self.fields.push('=');
                &mut self.fields
            }
        };
        // Writing to a String cannot fail; a Display that does is cut where it failed.
        let _ = OneLine(out).write_fmt(value);
    }
}

impl Visit for Record {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, format_args!("{value:?}"));
    }
}

struct OneLine<'a>(&'a mut String);

impl fmt::Write for OneLine<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        for c in s.chars() {
            if c.is_control() {
                self.0.extend(c.escape_default());
            } else {
                self.0.push(c);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Sink {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    fn printed(ansi: bool, record: impl FnOnce()) -> String {
        let sink = Sink::default();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new("trace"))
            .with_ansi(ansi)
            .with_writer(sink.clone())
            .event_format(CompactFormat)
            .finish();
        tracing::subscriber::with_default(subscriber, record);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn one_compact_line_a_record() {
        let logger = Logger::new("EventsGateway");
        let text = printed(false, || {
            logger.log(format_args!("Client connected: {}", "q7Xz1aB3kLmN0pQrAAAB"));
            logger.warn("w");
            logger.error("e");
            logger.debug("d");
            logger.verbose("v");
        });
        assert_eq!(
            text,
            "[Gatewire] LOG [EventsGateway] Client connected: q7Xz1aB3kLmN0pQrAAAB\n\
             [Gatewire] WARN [EventsGateway] w\n\
             [Gatewire] ERROR [EventsGateway] e\n\
             [Gatewire] DEBUG [EventsGateway] d\n\
             [Gatewire] VERBOSE [EventsGateway] v\n"
        );
    }

    #[test]
    fn other_records_show_target_and_fields() {
        let text = printed(
            false,
            || tracing::info!(target: "my_app::db", rows = 3, name = "x", "read"),
        );
        assert_eq!(text, "[Gatewire] LOG [my_app::db] read rows=3 name=x\n");
    }

    #[test]
    fn a_client_cannot_forge_a_line() {
        let text = printed(false, || {
            Logger::new("Chat").log("hi\n[Gatewire] LOG [Auth] admin\x1b[2J")
        });
        assert_eq!(
            text,
            "[Gatewire] LOG [Chat] hi\\n[Gatewire] LOG [Auth] admin\\u{1b}[2J\n"
        );
    }

    #[test]
    fn colour_only_where_it_is_asked() {
        let text = printed(true, || Logger::new("Chat").log("hi"));
        assert_eq!(
            text,
            "\x1b[32m[Gatewire] LOG\x1b[0m \x1b[33m[Chat]\x1b[0m \x1b[32mhi\x1b[0m\n"
        );
    }
}
