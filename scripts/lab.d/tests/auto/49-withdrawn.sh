# shellcheck shell=bash
# The record is gone (NXDOMAIN) when the router starts again: the saved answer is not used, the service is down.
provided pd nothing "$(discovery)"
provision ok "$(json_dslite "$AFTR1")"
comes_up auto
stop router
was=$(asked "$DISCOVERY" TXT)
isp_names
router_start auto
looked() { (($(asked "$DISCOVERY" TXT) > was)); }
within 20 "the record is asked for" looked
within 30 "the service is taken down" no_ping "$INTERNET"
for_seconds 3 "the service stays down" no_ping "$INTERNET"
