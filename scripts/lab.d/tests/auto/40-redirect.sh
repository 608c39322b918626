# shellcheck shell=bash
# The provisioning server says 307: followed once, with the same question.
provided pd nothing "$(discovery)"
provision redirect "$(json_dslite "$AFTR1")"
comes_up auto
chosen dslite provisioning
provisioned | holds "path == '/moved' and 'dslite' in said['capability']" || fail "$(provisioned | tail -n 1)"
