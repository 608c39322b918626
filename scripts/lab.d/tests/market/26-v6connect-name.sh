# shellcheck shell=bash
# v6connect without a provisioning server: the service's name.
provided pd nothing "dslite.v6connect.net=$AFTR1"
comes_up v6connect
judged v6connect "$AFTR1" "$(prefix_of pd 1)"
