# shellcheck shell=bash
# v6connect: its provisioning server names the AFTR, which goes before the service's own name.
provided pd nothing "dslite.v6connect.net=$AFTR1" "$(discovery)"
isp_name "$AFTR2"
provision ok "$(json_dslite "$AFTR_NAME")"
comes_up v6connect
# By the name alone it is up before the server has answered, or was asked.
within 15 "the provisioning server is asked" provisioned_at_least 1
provisioned | holds "tls and 'dslite' in said['capability'].split(',')" || fail "the server was asked the wrong thing"
traffic
within 15 "the tunnel goes where the server said" far_end_is "$AFTR2"
judged v6connect "$AFTR2 $AFTR1" "$(prefix_of pd 1)"
isp_name "$AFTR1"
