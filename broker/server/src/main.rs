//! The `dunlin` binary.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use dunlin::cli::{About, Cli, Command, report};
use dunlin::config::{load, print, reference};
use dunlin::{Bridges, Plugins, check_listeners, config, passwd, plugin, serve, store};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(Cli::parse().chosen()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{}", message.trim_end());
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), String> {
    match command {
        Command::Serve(options) => serve::run(options.request(std::env::vars_os())),
        Command::Check(options) => {
            let loaded = load(&options.request(std::env::vars_os())).map_err(|e| e.to_string())?;
            let plugins = Plugins::check(&loaded.config)?;
            check_listeners(&loaded.config)?;
            Bridges::prepare(&loaded.config, &plugins, 0)?;
            print!("{}", report(&loaded, &plugins.describe()));
            Ok(())
        }
        Command::Passwd(options) => passwd(&options),
        Command::ImportMosquitto { file } => import(file),
        Command::Store { look } => store(&look),
        Command::Plugin { work } => plugin(&work),
        Command::Config {
            about: About::Reference,
        } => {
            print!("{}", reference::markdown());
            Ok(())
        }
    }
}

/// Prints a mosquitto.conf as TOML, and what to look at in it.
fn import(file: PathBuf) -> Result<(), String> {
    let loaded = config::load::import(file).map_err(|e| e.to_string())?;
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    for (index, bridge) in loaded.config.bridges.iter().enumerate() {
        let name = &bridge.name;
        let id = loaded
            .origins
            .get(&format!("bridges[{index}].remote_clientid"));
        if id.is_some_and(|id| id.is_directive("connection")) {
            eprintln!("warning: bridge {name}: its remote_clientid has the name of this machine");
        }
        if bridge.remote_password.is_some() {
            eprintln!("warning: bridge {name}: write its remote_password yourself");
        }
    }
    print!("{}", print::toml(&loaded.config));
    Ok(())
}
