//! How many connections and streams clients may have on a listener: what `quic`, `https`, `https3` and `grpc_server` set,
//! each for its own scheme.

use super::corefile::{ConfigError, Directive, Scheme};
use super::{Plugin, Setup};

/// What clients may have on a listener; None is left to what is built in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// Connections at once.
    pub connections_max: Option<usize>,
    /// Streams of one connection at once.
    pub streams_max: Option<u32>,
}

/// Reads a plugin's block, whose properties are known by name and by the least number that they take, and sets the caps
/// for one scheme of the server block; the plugin has no part in the chain.
pub(super) fn set(
    scheme: Scheme,
    known: &[(&str, u32)],
    lines: &[Directive],
    setup: &mut Setup<'_>,
) -> Result<Option<Box<dyn Plugin>>, ConfigError> {
    let [line] = lines else { return Err(ConfigError::once()) };
    if let Some(surplus) = line.args.first() {
        return Err(surplus.wrong_argument_count());
    }
    let mut caps = Caps::default();
    for (place, property) in line.properties().iter().enumerate() {
        let name = &property.name.text[..];
        let row = known.iter().find(|(known, _)| *known == name);
        let (_, least) = *row.ok_or_else(|| property.unknown_property())?;
        if line.properties()[..place].iter().any(|before| before.name.text == name) {
            return Err(property.error(format!("{name} already defined for this server block")));
        }
        let value = property.one_argument()?;
        let wrong = || value.error(format!("{name} '{}' is not a number from {least} to {}", value.text, u32::MAX));
        let number: u32 = value.text.parse().ok().filter(|number| *number >= least).ok_or_else(wrong)?;
        match name {
            // 0 is no cap but what is built in.
            "max_connections" => caps.connections_max = (number > 0).then_some(number as usize),
            "max_streams" => {
                let streams_max = streams_max(scheme);
                if number > streams_max {
                    let plugin = &line.name.text;
                    let warning =
                        format!("plugin/{plugin}: max_streams {number} is more than there can be: {streams_max}");
                    setup.services.warnings.push(warning);
                }
                caps.streams_max = (number > 0).then_some(number.min(streams_max));
            }
            _ => {}
        }
    }
    setup.caps.insert(scheme, caps);
    Ok(None)
}

/// Streams that a connection can have at once.
fn streams_max(scheme: Scheme) -> u32 {
    match scheme {
        Scheme::Quic | Scheme::Https3 => QUIC_STREAMS_MAX,
        _ => HTTP2_STREAMS_MAX,
    }
}

/// Streams of a connection over QUIC at once: each may hold some kilobytes.
pub(crate) const QUIC_STREAMS_MAX: u32 = 256;

/// Requests of a connection over HTTP/2 at once (RFC 9113 §6.5.2 advises no fewer than 100).
pub(crate) const HTTP2_STREAMS_MAX: u32 = 128;
