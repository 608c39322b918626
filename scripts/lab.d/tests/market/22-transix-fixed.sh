# shellcheck shell=bash
# transix-fixed: one fixed address, interface id of the contract, the border router is told over http.
provided slaac nothing "update.transix.jp=$INTERNET6"
comes_up transix-fixed
told "path == '/request' and known and host == 'update.transix.jp' and source == '2001:db8:3012:3400::feed'" ||
    fail "the server was told the wrong thing: $(notified | tail -n 1)"
traffic
judged transix-fixed "$BR" 2001:db8:3012:3400::feed "$FIXED"
