//! DNS over UDP (RFC 1035 4), read by `hickory-proto`. Names are not said, and neither is what they lead to: what a LAN's hosts look
//! for is nobody's business. Who asks for a name of its own says so itself.

use std::collections::BTreeMap;

use hickory_proto::op::Message;

use super::add;

pub(super) fn say(bytes: &[u8], text: &mut String) {
    let Ok(message) = Message::from_vec(bytes) else {
        return add(text, format_args!("{} bytes that are no DNS", bytes.len()));
    };
    add(text, format_args!("id {}", message.metadata.id));
    for query in &message.queries {
        add(text, format_args!("for {}", query.query_type()));
    }
    if bytes.get(2).is_some_and(|flags| flags & 0x80 != 0) {
        add(text, format_args!("{}", message.metadata.response_code));
        let mut records = BTreeMap::new();
        for record in &message.answers {
            *records.entry(record.record_type().to_string()).or_insert(0) += 1;
        }
        for (kind, number) in records {
            add(text, format_args!("{number} {kind}"));
        }
    }
}
