# shellcheck shell=bash
# A provisioning server over http: with t=a it is asked, with t=b the record is refused.
provided pd nothing "$(discovery "http://$PROVISION_NAME/rule.cgi" a)"
provision ok "$(json_dslite "$AFTR1")"
comes_up auto
provisioned | holds "not tls" || fail "it was asked otherwise than told"
bad_server ok "http://$PROVISION_NAME/rule.cgi"
says 't=b\|https'
(($(provisioned_times) == 0)) || fail "a server was asked in the clear that must not be"
