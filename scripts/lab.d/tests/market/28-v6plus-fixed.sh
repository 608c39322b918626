# shellcheck shell=bash
# v6plus-fixed: a fixed address, interface id made of it, the border router is told over http.
provided slaac nothing "fcs.enabler.ne.jp=$INTERNET6"
ce=$(fixed_ce slaac)
comes_up v6plus-fixed
told "path == '/update' and known and source == '$ce' and host == 'fcs.enabler.ne.jp'" ||
    fail "the server was told the wrong thing: $(notified | tail -n 1)"
traffic
judged v6plus-fixed "$BR" "$ce" "$FIXED"
