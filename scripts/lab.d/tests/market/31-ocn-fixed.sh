# shellcheck shell=bash
# ocn-fixed: a fixed address behind a home gateway's /64, told from the WAN's own address with a token.
provided hgw nothing "ipoe-static.ocn.ad.jp=$INTERNET6"
ce=$(fixed_ce hgw)
comes_up ocn-fixed
told "path == '/nic/update' and known and source != '$ce' and host == 'ipoe-static.ocn.ad.jp'" ||
    fail "the server was told the wrong thing: $(notified | tail -n 1)"
traffic
judged ocn-fixed "$BR" "$ce" "$FIXED"
