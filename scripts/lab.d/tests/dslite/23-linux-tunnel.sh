# shellcheck shell=bash
# A far end as Linux's tunnel is by default: an encapsulation limit before each packet, and an MTU of 1452 (RFC 2473 4.1.1).
tell limit on
ip -n aftr link set softwires mtu 1452
was=$(drops)
echoes h1 "$INTERNET" 20 || fail "not 20 of 20, or some twice"
downloads large || fail "a download did not come whole"
probe 1452 -M 'do' || { cat "$LAB/probe" && fail "1452 bytes with DF did not pass"; }
# Its sender is told (ICMP 3/4, MTU 1452) and sends two: inner fragments, each behind a limit.
within 5 "1460 bytes are answered, in two packets" probe 1460 -M 'do'
within 5 "1500 bytes without DF are answered" probe 1500 -M dont
# And in two outer fragments, with the limit in what is cut.
ip -n aftr link set softwires mtu 1500
ip -n inet route flush cache
sent=$(count fragmented)
within 5 "1500 bytes are answered in outer fragments" probe 1500 -M dont
(($(count fragmented) > sent)) || fail "the AFTR sent no outer fragments: this test tests nothing"
(($(drops) == was)) || fail "the router dropped $(($(drops) - was)) packets: $(show counters)"
