//! `zonda help`: the pages of plugins, and what commands do.

use clap::Command;
use clap::error::ErrorKind;
use engine::log;
use engine::plugin;

/// Shows the page of a plugin or the help of a command; without a name lists the plugins. A name that is neither ends the
/// process, as other faults of the command line do.
pub(crate) fn show(name: Option<&str>, mut program: Command) {
    let Some(name) = name else { return list() };
    if let Some(page) = plugin::page(name) {
        return log::plain(page.plain().trim_end());
    }
    let near = near(name, &program);
    // So that the usage of a command begins with the program.
    program.build();
    match program.find_subcommand_mut(name) {
        Some(command) => log::plain(&command.render_help().to_string()),
        None => {
            let hint = match near.is_empty() {
                true => "`zonda help` lists the plugins".to_owned(),
                false => format!("near to it: {}", near.join(", ")),
            };
            program.error(ErrorKind::InvalidValue, format!("there is no plugin and no command '{name}'; {hint}")).exit()
        }
    }
}

/// One line for each plugin.
fn list() {
    let names = plugin::names();
    let width = names.iter().map(|name| name.len()).max().unwrap_or_default();
    for name in names {
        let page = plugin::page(name);
        let summary = page.as_ref().map_or("", |page| page.summary());
        log::plain(&format!("{name:width$}  {summary}"));
    }
    log::plain("\n`zonda help PLUGIN` shows the page of a plugin, `zonda --help` flags and commands.");
}

/// Plugins and commands whose names are like this one, the nearest first.
fn near(name: &str, program: &Command) -> Vec<String> {
    let commands = program.get_subcommands().map(|command| command.get_name().to_owned());
    let names = plugin::names().into_iter().map(str::to_owned).chain(commands);
    let mut near: Vec<(f64, String)> = names.map(|other| (strsim::jaro_winkler(name, &other), other)).collect();
    near.retain(|(likeness, _)| *likeness >= LIKENESS_MIN);
    near.sort_by(|one, other| other.0.total_cmp(&one.0));
    near.into_iter().map(|(_, name)| name).take(NEAR_MAX).collect()
}

/// How like a name has to be to be offered, from 0 to 1: one letter too many, missing, wrong or out of place.
const LIKENESS_MIN: f64 = 0.75;

/// Names that are offered at most.
const NEAR_MAX: usize = 3;
