# shellcheck shell=bash
# auto: neither DHCPv6 nor a provisioning server says anything; a service's name exists.
provided pd nothing "dgw.xpass.jp=$AFTR2"
comes_up auto
far_end_is "$AFTR2" || fail "the tunnel goes to $(far_end)"
chosen dslite names
