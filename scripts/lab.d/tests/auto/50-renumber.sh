# shellcheck shell=bash
# Another prefix during a download: the server is asked anew, with the token; another share; the download is made good.
provided pd nothing "$(discovery)"
map_domain draft03 4
provision ok "$(json_map_e draft03 4 "$BR")"
comes_up auto
slow_download --speed-limit 1000 --speed-time 3 --connect-timeout 3 \
    --retry 30 --retry-delay 1 --retry-all-errors --retry-max-time 60
was=$(provisioned_times)
isp_line pd 2
moved() { internet && near_end_is "$(map_ce draft03 4 pd 2)"; }
within $((T1 + 30)) "the tunnel comes from the new address" moved
downloaded
(($(provisioned_times) > was)) || fail "the server was not asked again"
provisioned | holds "said.get('token') == 'lab-token'" || fail "the token was not said: $(provisioned | tail -n 1)"
nothing_refused
judged auto "$BR" "$(map_ce draft03 4 pd 1) $(map_ce draft03 4 pd 2)" "$(share 4 pd 1)" "$(share 4 pd 2)"
