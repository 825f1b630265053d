//! `dunlin store check`.

use std::io::{self, Write};
use std::path::Path;

use dunlin_store::Contents;
use dunlin_time::Wall;

/// Says that a store is good, and how much is in it.
pub fn write(out: &mut impl Write, path: &Path, contents: &Contents, now: Wall) -> io::Result<()> {
    let found = contents.found();
    let totals = contents.totals(now);
    let (first, last) = found.segments;
    let segments = if last == 0 { 0 } else { last - first + 1 };
    writeln!(out, "{}: every checksum is right.", path.display())?;
    writeln!(out, "segments  {segments}")?;
    writeln!(out, "records   {}", found.records)?;
    writeln!(out, "bytes     {}, {} live", found.bytes, totals.live_bytes)?;
    let (sessions, over) = (totals.sessions, totals.sessions_over);
    writeln!(out, "sessions  {sessions}, {over} expired")?;
    let (queued, expired) = (totals.queued, totals.queued_expired);
    writeln!(out, "queued    {queued}, {expired} expired")?;
    let (retained, expired) = (totals.retained, totals.retained_expired);
    writeln!(out, "retained  {retained}, {expired} expired")?;
    writeln!(out, "messages  {}, each counted once", totals.messages)?;
    if let Some(torn) = &found.torn {
        writeln!(
            out,
            "torn      {} bytes at byte {} of {}: harmless, a write that a crash cut short and \
             nobody was told of; the next start removes it",
            torn.bytes, torn.offset, torn.file
        )?;
    }
    for file in &found.leftovers {
        writeln!(out, "leftover  {file}: harmless, the next start removes it")?;
    }
    Ok(())
}
