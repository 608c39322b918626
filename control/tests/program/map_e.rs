//! `hikyaku map-e` from outside: answers, reasons, exit codes, the file of rules.

use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hikyaku_config::RulesFile;
use hikyaku_net::map::{InterfaceId, Rule};
use proptest::prelude::*;
use serde_json::{Value, json};

const A1: [&str; 4] = ["--prefix", "2001:db8:12:3400::/56", "--rule", "2001:db8::/40,192.0.2.0/24,16,6"];

fn map_e(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hikyaku")).arg("map-e").args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn people(args: &[&str]) -> String {
    let run = map_e(args);
    assert!(run.status.success(), "{args:?}: {}", text(&run.stderr));
    text(&run.stdout)
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&people(&[args, &["--json"]].concat())).unwrap()
}

/// Exit code and the one line about it.
fn refused(args: &[&str]) -> (i32, String) {
    let run = map_e(args);
    let error = text(&run.stderr);
    assert!(run.stdout.is_empty() && error.lines().count() == 1, "{args:?}: {}{error}", text(&run.stdout));
    (run.status.code().unwrap(), error)
}

/// RFC 7597 appendix A, examples 1, 4 and 5.
#[test]
fn rfc7597_appendix_a() {
    let rfc = ["--iid", "rfc7597", "--br", "2001:db8:ffff::1"];
    let answer = json(&[&A1[..], &rfc].concat());
    assert_eq!(answer["ipv4"], "192.0.2.18");
    assert_eq!((&answer["psid"], &answer["psid_len"]), (&json!(52), &json!(8)));
    assert_eq!(answer["ce"], "2001:db8:12:3400:0:c000:212:34");
    assert_eq!((&answer["n_ports"], &answer["n_ranges"]), (&json!(252), &json!(63)));
    assert_eq!((&answer["ranges"][0], &answer["ranges"][62]), (&json!([1232, 1235]), &json!([64720, 64723])));
    assert_eq!(answer["br"], json!(["2001:db8:ffff::1"]));
    let mut keys: Vec<&str> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let known = [
        "br",
        "ce",
        "end_user_prefix",
        "iid",
        "ipv4",
        "ipv4_len",
        "n_ports",
        "n_ranges",
        "port",
        "psid",
        "psid_len",
        "psid_offset",
        "ranges",
        "rule",
        "to",
    ];
    assert_eq!(keys, known);

    let whole =
        ["--prefix", "2001:db8:12:3400::/56", "--rule", "2001:db8:12:3400::/56,192.0.2.18/32,0,6", "--iid", "rfc7597"];
    let a4 = json(&whole);
    assert_eq!((&a4["n_ports"], &a4["ranges"], &a4["psid_len"]), (&json!(65536), &json!([[0, 65535]]), &json!(0)));
    assert_eq!(json(&[&whole[..], &["--psid", "0", "--psid-len", "0"]].concat()), a4);
    let a5 = [&whole[..], &["--psid", "52", "--psid-len", "8"]].concat();
    assert_eq!(json(&a5)["ranges"], answer["ranges"]);
    assert_eq!(json(&a5)["ce"], answer["ce"]);
    let to = json(&[&a5[..], &["--to", "192.0.2.18:1232", "--to", "192.0.2.18:1236"]].concat());
    assert_eq!(to["to"][0]["ce"], answer["ce"]);
    assert_eq!(to["to"][1]["ce"], Value::Null, "a port of a PSID that is not the rule's");
}

/// draft-ietf-softwire-map-03 6 is what lines in Japan have, and what is taken if nobody says.
#[test]
fn the_form_of_the_interface_id() {
    let draft = "2001:db8:12:3400:c0:2:1200:3400";
    assert_eq!(json(&A1)["ce"], draft);
    assert_eq!(json(&[&A1[..], &["--iid", "draft03"]].concat())["ce"], draft);
    let (code, error) = refused(&[&A1[..], &["--iid", "draft3"]].concat());
    assert_eq!(code, 2);
    assert!(error.contains("draft03 (as used in Japan) or rfc7597"), "{error}");
}

#[test]
fn people_get_a_table() {
    let answer = people(&[&A1[..], &["--br", "2001:db8:ffff::1", "--port", "1232", "--port", "80"]].concat());
    let expected = "\
prefix         2001:db8:12:3400::/56
rule           2001:db8::/40,192.0.2.0/24,16,6
IPv4 address   192.0.2.18
PSID           52 (0x34), 8 bits, offset 6
CE address     2001:db8:12:3400:c0:2:1200:3400 (draft03 interface id)
border router  2001:db8:ffff::1
ports          252 in 63 ranges
  1232-1235    2256-2259    3280-3283    4304-4307    5328-5331    6352-6355
";
    assert!(answer.starts_with(expected), "{answer}");
    let end = "\n  62672-62675  63696-63699  64720-64723\nport 1232 is ours\nport 80 is not ours: nobody has it, the first ports are left out\n";
    assert!(answer.ends_with(end), "{answer}");
}

/// `facts/japan-ipoe.md` 4: behind a home gateway the line has a /60 or a /64 of the /56.
#[test]
fn longer_prefixes_are_cut() {
    let rule = ["--rule", "240b:10::/31,106.72.0.0/15,25,4"];
    for prefix in
        ["240b:10:3f6c:d400::/56", "240b:10:3f6c:d4f0::/60", "240b:10:3f6c:d4f1::/64", "240b:10:3f6c:d4f1::254/64"]
    {
        let answer = json(&[&["--prefix", prefix], &rule[..]].concat());
        assert_eq!(answer["ce"], "240b:10:3f6c:d400:6a:483f:6c00:d400", "{prefix}");
        assert_eq!(answer["end_user_prefix"], "240b:10:3f6c:d400::/56");
    }
}

/// RFC 7597 5: the longest rule counts.
#[test]
fn of_several_rules_the_longest() {
    let rules = ["--rule", "2001:db8::/32,198.51.0.0/16,24,4", "--rule", "2001:db8:12::/48,192.0.2.18/32,8,4"];
    let answer = json(&[&A1[..2], &rules].concat());
    assert_eq!((&answer["ipv4"], &answer["psid"]), (&json!("192.0.2.18"), &json!(0x34)));
    assert_eq!(answer["rule"], "2001:db8:12::/48,192.0.2.18/32,8,4");
}

/// Which tunnel end has an address and port: RFC 7597 appendix A, example 2, without a line of one's own.
#[test]
fn from_address_and_port_to_the_ce() {
    let rule = ["--rule", "2001:db8::/40,192.0.2.0/24,16,6", "--iid", "rfc7597"];
    let args = [&rule[..], &["--to", "192.0.2.18:1232", "--to", "192.0.2.18:80", "--to", "1.2.3.4:80"]].concat();
    let answer = json(&args);
    assert_eq!(answer.get("ipv4"), None);
    assert_eq!(
        answer["to"],
        json!([
            {"to": "192.0.2.18:1232", "psid": 52, "ce": "2001:db8:12:3400:0:c000:212:34"},
            {"to": "192.0.2.18:80", "psid": null, "ce": null},
            {"to": "1.2.3.4:80", "psid": null, "ce": null},
        ])
    );
    let said = people(&args);
    assert!(
        said.starts_with("192.0.2.18:1232 is at CE 2001:db8:12:3400:0:c000:212:34, PSID 52\n192.0.2.18:80 is at no CE"),
        "{said}"
    );
    assert_eq!(people(&[&rule[..], &["--port", "1236"]].concat()), "port 1236 is of PSID 53\n");
}

#[test]
fn prefixes_without_a_place() {
    let jpne = ["--rule", "240b:10::/31,106.72.0.0/15,25,4"];
    for (prefix, says) in [
        ("240b:10::/55", "240b:10::/55 is shorter than rule and EA bits: this rule needs a /56, the line has a /55"),
        ("240b:10::/24", "is shorter than the rule 240b:10::/31: this rule needs a /56; give the line's own prefix"),
        ("2400:2410:1:100::/56", "is outside the rule 240b:10::/31: this service has no rule for the line"),
        ("2408:210:1:1::/64", "awaiting ISP"),
        ("2001:d70::/56", "awaiting ISP"),
    ] {
        let (code, error) = refused(&[&["--prefix", prefix], &jpne[..]].concat());
        assert!(code == 1 && error.starts_with("hikyaku: ") && error.contains(says), "{code} {error}");
    }
    let (code, error) = refused(&["--prefix", "2404:1a8::/64"]);
    assert!(code == 1 && error.contains("awaiting ISP"), "no rule is needed to see that: {code} {error}");
    let (_, error) = refused(&[&["--prefix", "2001:db9::/56", "--rule", A1[3]], &jpne[..]].concat());
    assert!(error.contains("outside all of the 2 rules"), "{error}");
    let (code, error) = refused(&[&A1[..], &["--psid", "53"]].concat());
    assert!(code == 1 && error.contains("53") && error.contains("52"), "{code} {error}");
}

#[test]
fn what_is_asked_wrongly() {
    let with = |more: &[&'static str]| [&A1[..], more].concat();
    let whole =
        |more: &[&'static str]| [&A1[..2], &["--rule", "2001:db8:12:3400::/56,192.0.2.18/32,0,6"], more].concat();
    for (args, says) in [
        (vec![], "the following required arguments were not provided: --prefix <PREFIX>"),
        (vec!["--prefix", "2001:db8::"], "want ADDRESS/LENGTH such as 2001:db8::/56"),
        (A1[..2].to_vec(), "there is no rule to go by; give --rule or --map-rules"),
        (vec!["--port", "1"], "there is no rule to go by"),
        (
            vec!["--rule", A1[3], "--rule", "2001:db8:1::/48,192.0.2.1/32,8,4", "--port", "1"],
            "which of the rules counts?",
        ),
        (vec!["--rule", "2001:db8::/40,192.0.2.0/24,16", "--port", "1"], "there are 3 fields, not 4"),
        (vec!["--rule", "2001:db8::/40,192.0.2.0/24,16,9", "--port", "1"], "PSID offset 9 + PSID length 8 > 16"),
        (vec!["--rule", "2001:db8::/40,192.0.2.0/24,49,6", "--port", "1"], "EA length 49"),
        (vec!["--rule", "2001:db8::/100,192.0.2.0/24,40,6", "--port", "1"], "longer than an IPv6 address"),
        (with(&["--psid-len", "7"]), "it must equal EA length - (32 - length of 192.0.2.0/24) = 8"),
        (with(&["--psid-len", "0"]), "it must equal EA length - (32 - length of 192.0.2.0/24) = 8"),
        (with(&["--psid", "256"]), "PSID 256 has more than its length of 8 bits"),
        (with(&["--psid-len", "17"]), "'17' for '--psid-len <N>': give a number from 0 to 16"),
        (
            whole(&["--psid", "1"]),
            "no EA bits of 2001:db8:12:3400::/56,192.0.2.18/32,0,6 are a PSID; give --psid-len too",
        ),
        (whole(&["--psid-len", "8"]), "give --psid too"),
        (whole(&["--psid", "1", "--psid-len", "11"]), "PSID offset 6 + PSID length 11 > 16"),
        (with(&["--map-rules", "x"]), "cannot be used with"),
        (with(&["--br", "ff02::1"]), "it is no global unicast address"),
        (with(&["--to", "192.0.2.1"]), "invalid value '192.0.2.1' for '--to <ADDR:PORT>'"),
        (vec!["--prefix", A1[1], "--map-rules", "/nonexistent/rules.toml"], "/nonexistent/rules.toml: cannot be read"),
    ] {
        let (code, error) = refused(&args);
        assert!(code == 2 && error.starts_with("hikyaku: ") && error.contains(says), "{args:?}: {code} {error}");
    }
    assert!(map_e(&with(&["--psid", "52", "--psid-len", "8"])).status.success(), "what agrees may be said");
    assert!(map_e(&with(&["--psid-len", "8"])).status.success());
}

/// A rules file of this test's own, gone at the end.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hikyaku-map-e-{}-{name}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// docs/map-rules.md has one file, and says what `hikyaku map-e` says of it.
#[test]
fn the_documented_file() {
    let docs = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/map-rules.md")).unwrap();
    let block = |begin: &str| docs.split(begin).nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
    let file = block("```toml\n");
    let domain = RulesFile::parse("docs", file).unwrap();
    let br: Vec<Ipv6Addr> = ["2001:db8:ffff::1", "2001:db8:ffff::2"].map(|br| br.parse().unwrap()).to_vec();
    assert_eq!((domain.br.clone(), domain.iid, domain.rules.len()), (br, Some(InterfaceId::Draft03), 2));
    assert!(!domain.is_mesh());
    let file = File::new("docs", file);
    let session = block("```console\n");
    let (command, output) = session.split_once('\n').unwrap();
    let args: Vec<&str> = command.strip_prefix("$ hikyaku map-e ").unwrap().split_whitespace().collect();
    let args: Vec<&str> = args.into_iter().map(|arg| if arg == "rules.toml" { file.path() } else { arg }).collect();
    assert_eq!(people(&args), output);

    let over = [&args[..], &["--iid", "rfc7597", "--br", "2001:db8:ffff::9"]].concat();
    let answer = json(&over);
    assert_eq!(
        (&answer["iid"], &answer["br"]),
        (&json!("rfc7597"), &json!(["2001:db8:ffff::9"])),
        "flags go over the file"
    );
}

#[test]
fn mesh_in_the_file() {
    let rules = "[[rule]]\nipv6 = '2001:db8::/40'\nipv4 = '192.0.2.0/24'\nea-length = 16\npsid-offset = 6\n\
                 [[rule]]\nipv6 = '2001:db8:100::/40'\nipv4 = '198.51.100.0/24'\nea-length = 16\npsid-offset = 6\nforwarding = true\n";
    let of = |text: String| RulesFile::parse("f", &format!("iid = 'rfc7597'\n{text}")).unwrap();
    let forwarding = |text| of(text).rules.iter().map(Rule::is_forwarding).collect::<Vec<_>>();
    assert_eq!(forwarding(rules.into()), [false, true]);
    assert_eq!(forwarding(format!("mesh = true\n{rules}")), [true, true]);
    let plain = of(format!("br = '2001:db8:ffff::1'\n{rules}"));
    assert_eq!((plain.br.len(), plain.iid), (1, Some(InterfaceId::Rfc7597)));
}

#[test]
fn what_is_wrong_with_a_file() {
    let problems = |text: &str| -> Vec<String> {
        RulesFile::parse("f", text).unwrap_err().0.iter().map(ToString::to_string).collect()
    };
    let all_wrong = "iid = 'draft3'\nbr = ['2001:db8::1', 'fe80::1']\nversion = 1\n[[rule]]\nipv6 = '2001:db8::/40'\nipv4 = '192.0.2.0'\n\
                ea-lenght = 16\npsid-offset = 6\n[[rule]]\nipv6 = '2001:db8::/40'\nipv4 = '192.0.2.0/24'\nea-length = 16\npsid-offset = 9\n";
    assert_eq!(
        problems(all_wrong),
        [
            "f:1: iid = 'draft3': 'draft3' is no form of interface id: want draft03 (as used in Japan) or rfc7597",
            "f:2: br = 'fe80::1': it is no global unicast address",
            "f:3: unknown key 'version' in the file",
            "f:4: [rule] lacks ea-length = N",
            "f:6: ipv4 = '192.0.2.0': '192.0.2.0' is not an IPv4 prefix: want ADDRESS/LENGTH such as 192.168.1.0/24",
            "f:7: unknown key 'ea-lenght' in [rule], did you mean 'ea-length'?",
            "f:12: PSID offset 9 + PSID length 8 > 16, the bits of a port; check PSID offset, EA length and the length of the IPv4 prefix",
        ]
    );
    assert_eq!(problems("iid = 'draft03'"), ["f: there is no mapping rule; give at least one [[rule]]"]);
    let unknown = ["f:2: unknown section 'rules' in the file, did you mean 'rule'?"];
    assert_eq!(problems("iid = 'draft03'\n[[rules]]\nx = 1"), unknown);
    let rule = "[[rule]]\nipv6 = '2001:db8::/40'\nipv4 = '192.0.2.0/24'\nea-length = 16\npsid-offset = 6\n";
    let many = |n: usize| format!("iid = 'draft03'\n{}", rule.repeat(n));
    assert_eq!(RulesFile::parse("f", &many(256)).unwrap().rules.len(), 256);
    assert_eq!(problems(&many(257)), ["f:1282: 257 mapping rules; at most 256 are taken"]);

    let large = File::new("large", &format!("{rule}#{}", "x".repeat(1 << 20)));
    let (code, error) = refused(&["--prefix", A1[1], "--map-rules", large.path()]);
    assert!(code == 2 && error.contains("is larger than 1 MiB"), "{code} {error}");
    let wrong = File::new("wrong", "[[rule]]\nipv6 = 2001:db8::/40\n");
    let run = map_e(&["--prefix", A1[1], "--map-rules", wrong.path()]);
    assert!(run.status.code() == Some(2) && text(&run.stderr).contains("wrong.toml:2: "), "{}", text(&run.stderr));
}

proptest! {
    /// Whatever is in a file, it is read or refused.
    #[test]
    fn any_file(text in "([a-z0-9='\\[\\]./:, \"-]{0,12}\n|\\[\\[rule\\]\\]\n|(br|iid|mesh|ipv6|ea-length) = [0-9'a-z:/\\[]{0,9}\n){0,12}") {
        let _ = RulesFile::parse("f", &text);
    }
}
