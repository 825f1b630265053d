//! `dunlin plugin`: what helps to write one.

mod build;
mod new;

use std::path::Path;

use crate::cli::Work;
use crate::plugins;

/// Does what the command line says.
///
/// # Errors
/// What is wrong, where, and what to do.
pub fn plugin(work: &Work) -> Result<(), String> {
    match work {
        Work::New { kind, directory } => {
            new::make(*kind, directory)?;
            let shown = directory.display();
            println!("made {shown}; next: cd {shown}, cargo test, dunlin plugin build");
            Ok(())
        }
        Work::Build { directory } => {
            let component = build::build(directory)?;
            let bytes = component.metadata().map_or(0, |found| found.len());
            println!(
                "built {}, {} KiB",
                component.display(),
                bytes.div_ceil(1024)
            );
            Ok(())
        }
        Work::Check { file } => plugins::tool::check(file),
        Work::Test {
            file,
            cases,
            config,
            settings,
        } => plugins::tool::test(file, cases, config.as_deref(), settings.as_deref()),
    }
}

/// The name of a plugin's directory, if it can be that of a crate.
fn name_of(directory: &Path) -> Result<&str, String> {
    let name = directory
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let starts = name.starts_with(|first: char| first.is_ascii_lowercase());
    if !starts || !name.bytes().all(fits) || name.len() > 64 {
        return Err(format!(
            "{}: its last part names the plugin, and needs small letters, digits and \"-\", as \
             my-acl",
            directory.display()
        ));
    }
    Ok(name)
}
