//! Texts into URLs.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::ConfigError;

/// All but the unreserved characters of RFC 3986 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text as it stands in a query, whatever is in it.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// A template with every `<name>` replaced. They may stand behind the host only: a credential in a host's
/// name would be asked of DNS servers.
pub(super) fn expand(
    template: &str,
    value: impl Fn(&str) -> Result<String, ConfigError>,
) -> Result<String, ConfigError> {
    let host = template.find("://").map_or(0, |i| i + 3);
    let path = template[host..].find(['/', '?']).map_or(template.len(), |i| host + i);
    if template[..path].contains('<') {
        return Err(ConfigError::Placeholder);
    }
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('<') {
        let (name, after) = behind.split_once('>').ok_or(ConfigError::Placeholder)?;
        text.push_str(before);
        text.push_str(&value(name)?);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}
