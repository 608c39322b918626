# shellcheck shell=bash
# v6connect: its provisioning server names the AFTR, which goes before the service's own name.
provided pd nothing "dslite.v6connect.net=$AFTR1" "$(discovery)"
isp_name "$AFTR2"
provision ok "$(json_dslite "$AFTR_NAME")"
comes_up v6connect
provisioned | holds "tls and 'dslite' in said['capability'].split(',')" || fail "the server was asked the wrong thing"
traffic
within 15 "the tunnel goes where the server said" far_end_is "$AFTR2"
judged v6connect "$AFTR2 $AFTR1" "$(prefix_of pd 1)"
isp_name "$AFTR1"
