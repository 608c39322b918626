# shellcheck shell=bash
# Both addresses of the AFTR's name are dead for a while; whichever is back, a host that goes on asking is answered within 10 s.
isp_name "$AFTR1" "$AFTR2"
was=$(asked)
within $((AFTR_TTL + 15)) "the router asks for the name again" asked_more_than "$was"
within 5 "the Internet answers" internet
rm -f "$LAB/echoes.log"
spawn echoes h1 ping -n -i 0.2 "$INTERNET"
# The router asks each AFTR that carries whether it replies to echo requests, too: one that never did is left after a minute only.
within 20 "echoes come back" grep -q "icmp_seq=[3-9][0-9] " "$LAB/echoes.log"
no_internet() { ! internet; }
for back in "$AFTR1" "$AFTR2"; do
    isp_path blackhole "$AFTR1"
    isp_path blackhole "$AFTR2"
    # Long enough for each to have been tried, and for pauses to grow where they do.
    for_seconds 30 "both are dead" no_internet
    isp_path via "$back"
    # Ten, and what a machine with other work may add.
    within 15 "the Internet answers by $back" internet
    far_end_is "$back" || fail "the tunnel goes to $(far_end)"
done
stop echoes INT
downloads small || fail "a download afterwards did not come whole"
