# shellcheck shell=bash
# A certificate for another name: nothing is asked, the reason is readable; with t=a it does not matter.
bad_server ok https://other.isp.example/rule.cgi
says 'certificate'
(($(provisioned_times) == 0)) || fail "a server was asked that nobody vouches for"
provided pd nothing "$(discovery https://other.isp.example/rule.cgi a)"
provision ok "$(json_dslite "$AFTR1")"
comes_up auto
chosen dslite provisioning
