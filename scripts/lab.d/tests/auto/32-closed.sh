# shellcheck shell=bash
# A prefix of the closed access network: "awaiting ISP" is said, nothing is tried; the ISP comes, and so does the service.
provided closed nothing gw.transix.jp=2404:8e00::feed:100 "$(discovery)"
map_domain draft03 4
provision ok "$(json_map_e draft03 4 "$BR")"
afresh auto
awaiting() { show status | grep -qi 'awaiting ISP'; }
within 20 "status says that no ISP is there yet" awaiting
(($(provisioned_times) == 0)) || fail "a provisioning server was asked from the closed network"
isp_line slaac 1
within 40 "the Internet answers" internet
