# shellcheck shell=bash
# No JSON, a body that ends early, rules that cannot be, 257 rules: refused with a reason.
bad_server garbage
says 'JSON'
kept_through garbage
kept_through cut
bad_server ok "" '{"order":["map_e"],"map_e":{"br":"2001:db8:ffff::4","rules":[{"ipv6":"2001:db8:1000::/40","ipv4":"192.0.2.0/24","ea_length":30,"psid_offset":4}]}}'
says 'map_e\|rule'
bad_server ok "" "$(python3 -c 'import json
rule = {"ipv6": "2001:db8:1000::/40", "ipv4": "192.0.2.0/24", "ea_length": 16, "psid_offset": 4}
print(json.dumps({"order": ["map_e"], "map_e": {"br": "2001:db8:ffff::4", "rules": [rule] * 257}}))')"
says '25[67]'
