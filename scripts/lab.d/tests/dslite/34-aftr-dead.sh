# shellcheck shell=bash
# The AFTR in use falls silent, pings too; its name has a second address.
was=$(asked)
isp_name "$AFTR1" "$AFTR2"
within $((AFTR_TTL + 15)) "the router asks for the name again" asked_more_than "$was"
within 5 "the Internet answers" internet
dead=$(far_end)
isp_path blackhole "$dead"
within 60 "the other one takes over" internet
[[ $(far_end) != "$dead" ]] || fail "the tunnel still goes to $dead"
downloads small || fail "a download by the other AFTR did not come whole"
