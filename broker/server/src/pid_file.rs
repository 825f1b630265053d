//! The file that tells init scripts the process id.

use std::path::{Path, PathBuf};

/// A written file, removed on drop.
pub struct PidFile(PathBuf);

impl PidFile {
    /// Writes the process id.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(path: &Path) -> Result<Self, String> {
        std::fs::write(path, format!("{}\n", std::process::id()))
            .map_err(|error| format!("pid_file: cannot write {}: {error}", path.display()))?;
        Ok(PidFile(path.to_owned()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "pid_file not removed");
        }
    }
}
