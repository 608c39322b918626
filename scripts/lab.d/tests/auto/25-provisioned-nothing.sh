# shellcheck shell=bash
# auto: the provisioning server has nothing for us (order is empty); the services' names are asked for.
provided pd nothing gw.transix.jp=2404:8e00::feed:100 "$(discovery)"
provision ok '{"enabler_name":"Lab","service_name":"none","ttl":3600,"order":[]}'
comes_up auto
far_end_is 2404:8e00::feed:100 || fail "the tunnel goes to $(far_end)"
chosen dslite names
provisioned_at_least 1 || fail "the server was never asked"
