# shellcheck shell=bash
# The provisioning server sends from https to http: refused with a reason, nothing is asked in the clear.
bad_server downgrade
says 'http'
! provisioned | grep -q '"tls": false' || fail "something was asked in the clear"
