# shellcheck shell=bash
# auto: the provisioning server has DS-Lite with a name; it goes before the services' names.
provided pd nothing gw.transix.jp=2404:8e00::feed:100 "$(discovery)"
provision ok "$(json_dslite "$AFTR_NAME")"
comes_up auto
far_end_is "$AFTR1" || fail "the tunnel goes to $(far_end)"
chosen dslite provisioning
