# shellcheck shell=bash
# Another prefix by RA during a download: the server is told, and the same TCP connection goes on.
within 5 "the Internet answers" internet
held_download
was=$(notified_times)
isp_line slaac 2
within 30 "the server was told again" notified_at_least $((was + 1))
told "source == '2001:db8:3056:7800::feed' and known" || fail "the server was told from another address than the new CE's"
within 10 "the Internet answers" internet
near_end_is 2001:db8:3056:7800::feed || fail "the tunnel comes from $(near_end)"
downloading || fail "the download has ended"
downloaded
