//! `dunlin passwd`: users of a password file.

use std::io::{BufRead, Read};

use dunlin_auth::{Edit, delete_user, set_password};

use crate::cli::Passwd;

/// The longest password that a CONNECT can carry.
const PASSWORD_MAX: u64 = 65_535;

/// `dunlin passwd`.
///
/// # Errors
/// The file cannot be read or written, or the two passwords differ.
pub fn passwd(options: &Passwd) -> Result<(), String> {
    let (file, user) = (&options.file, options.user.as_str());
    let edit = if options.delete {
        delete_user(file, user)
    } else {
        let password = match options.password_stdin {
            true => first_line()?,
            false => asked_twice(user)?,
        };
        set_password(file, user, password.as_bytes())
    };
    let shown = file.display();
    match edit.map_err(|error| error.to_string())? {
        Edit::Added => println!("{shown}: user {user} added"),
        Edit::Replaced => println!("{shown}: password of {user} changed"),
        Edit::Deleted => println!("{shown}: user {user} deleted"),
        Edit::Absent => return Err(format!("{shown}: there is no user {user}")),
    }
    Ok(())
}

fn first_line() -> Result<String, String> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .take(PASSWORD_MAX + 2)
        .read_line(&mut line)
        .map_err(|error| format!("standard input: {error}"))?;
    let line = line.trim_end_matches(['\r', '\n']);
    match line.is_empty() {
        true => Err("standard input: the first line, the password, is empty".into()),
        false => Ok(line.to_owned()),
    }
}

fn asked_twice(user: &str) -> Result<String, String> {
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt).map_err(|error| {
            format!("the terminal: {error}; to give the password otherwise: --password-stdin")
        })
    };
    let password = ask(&format!("Password for {user}: "))?;
    if password.is_empty() {
        return Err("the password is empty".into());
    }
    match ask("Again: ")? == password {
        true => Ok(password),
        false => Err("the two passwords differ; nothing was changed".into()),
    }
}
