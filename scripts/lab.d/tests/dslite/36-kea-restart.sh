# shellcheck shell=bash
# The DHCPv6 server is gone beyond the time to renew: nothing is disturbed, and the lease is renewed after.
stop kea KILL
for_seconds $((T1 + 2)) "the Internet answers without the DHCPv6 server" internet
start_kea
was=$(leases_written)
within $((VALID - T1)) "the lease is renewed" leases_written_more_than "$was"
within 2 "the Internet answers" internet
