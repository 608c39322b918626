# shellcheck shell=bash
# xpass-fixed: a fixed address, told over https with name, address and HTTP Basic.
provided slaac nothing
ce=$(fixed_ce slaac)
NOTIFY_URL=https://update.isp.example/xpass SERVICE_KEYS='ce = "from-ipv4"' comes_up xpass-fixed
told "path == '/xpass' and known and tls and said['a'] == '$ce'" ||
    fail "the server was told the wrong thing: $(notified | tail -n 1)"
traffic
judged xpass-fixed "$BR" "$ce" "$FIXED"
