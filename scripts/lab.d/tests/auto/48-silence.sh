# shellcheck shell=bash
# The provisioning server takes the connection and says nothing: after a restart the last good answer is used meanwhile.
provided pd nothing "$(discovery)"
provision ok "$(json_dslite "$AFTR1")"
comes_up auto
kept_through silence
