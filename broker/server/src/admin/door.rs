use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use super::Admin;
use crate::restore::Progress;

/// The operator's door: open from the first moment, while there may be no broker behind it yet.
#[derive(Default)]
pub struct Door {
    progress: Arc<Progress>,
    admin: OnceCell<Rc<Admin>>,
}

impl Door {
    /// For whoever reads the store.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// The broker has started. Once only; a second one is ignored.
    pub fn started(&self, admin: Rc<Admin>) {
        // There is one start.
        let _ = self.admin.set(admin);
    }

    /// The broker behind it, or how far its start has come.
    pub fn admin(&self) -> Result<&Admin, String> {
        let starting = || {
            let percent = self.progress.percent();
            format!("starting: {percent} % of data_dir is read")
        };
        self.admin.get().map(|admin| &**admin).ok_or_else(starting)
    }
}
